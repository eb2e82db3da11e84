"""How often the judgement errs, and how soon it decides."""
