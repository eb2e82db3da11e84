"""Which tests carry which sentence of the handbook's section Security, in its order, each by its first words."""

from __future__ import annotations

ADVICE = "advice: it tells people what to do, and promises nothing"
LIMIT = "limit: it says what is not promised"
HEADING = "heading: what follows says it"

_USERS, _BOUNDS, _STORED = "attacks/test_users::test_", "attacks/test_neighbours::test_", "attacks/test_storage::test_"
_STARTED, _ASKED, _POLICY = "attacks/test_deployments::test_", "attacks/test_approvals::test_", "attacks/test_policy::test_"
_STACK, _SIGNERS, _SECRETS = "blocks/server/test_", "blocks/approvers/test_signers::test_", "blocks/approvers/test_approvers::test_"
_HIDDEN, _BORDERS, _AWAY = "blocks/test_secret_text::test_", "tasks/record/test_borders::test_", "tasks/record/test_storage_away::test_"
_PLANTED, _ROTATED = "tasks/record/test_planted::test_", "tasks/record/test_rotated_storage::test_"
_BACK, _BEGUN, _CARE = (
    "flows/test_rollback_by_record::test_",
    "flows/test_begun::test_",
    "tasks/lifecycle/test_reconcile_and_following::test_",
)
_PROOFS, _FOUND = "rules/approval/test_proofs::test_", "tasks/record/test_find_deployed::test_"
_DEPLOYED, _EDITED = "tasks/rollout/test_as_deployed::test_", "flows/test_plan_of_rollback::test_"
_APPROVED, _KEPT = "tasks/approval/test_approval::test_", "tasks/record/test_kept_storage::test_"
_SCRIPTS = "tasks/rollout/test_scripts_as_deployed::test_"
_REVOKED = "commands/test_approvers_revoked::test_"
_REPLACED = f"{_APPROVED}what_a_secret_approved_before_it_was_replaced_or_removed_does_not_count_whoever_is_enrolled_under_that_name_since"

CARRIED: tuple[tuple[str, str | tuple[str, ...]], ...] = (
    ("Access to the API is full access", LIMIT),
    ("Prefect's open-source server has one password", LIMIT),
    (
        "It listens on 127.0.0.1 only",
        (
            f"{_BOUNDS}the_stack_listens_on_loopback_alone",
            "attacks/test_ports::test_the_local_platform_listens_on_loopback_alone",
            f"{_STACK}lifecycle::test_the_api_asks_for_the_password",
            f"{_STACK}layout::test_secrets_are_readable_by_their_owner_alone",
            f"{_STACK}guard::test_foreign_pages_and_names_are_refused",
        ),
    ),
    ("A Content-Security-Policy keeps", (f"{_STACK}guard::test_each_answer_keeps_its_page_from_other_hosts",)),
    ("Anyone with that password can do", LIMIT),
    ("Put a proxy with TLS", ADVICE),
    (
        "What they cannot do through the API alone",
        (
            f"{_ASKED}a_stored_rejection_cannot_be_replaced_by_an_approval_with_the_same_code",
            "flows/test_checklist::test_no_tick_counts_without_its_proof",
        ),
    ),
    (
        "Each answer is proved over its statement",
        (
            "rules/approval/test_statement::test_every_field_of_a_question_is_in_the_statement",
            "rules/approval/test_statement::test_two_statements_are_the_same_only_if_every_field_is",
        ),
    ),
    (
        "A proof is an SSH signature",
        (
            f"{_SIGNERS}what_a_person_signs_holds_for_that_person_and_text_alone",
            "rules/approval/test_statement::test_codes_are_those_of_the_standard",
            f"{_SECRETS}signing_and_encrypting_use_different_keys",
        ),
    ),
    (
        "Posting the form's answer, replacing",
        (
            f"{_ASKED}a_proof_for_one_release_approves_no_other",
            f"{_SECRETS}a_removed_person_cannot_be_put_back",
            "commands/test_approve_and_approvers::test_a_state_that_was_set_by_hand_brings_an_empty_answer",
            f"{_PROOFS}a_proof_with_any_changed_byte_is_refused",
        ),
    ),
    ("No entry of the record replaces that", (f"{_APPROVED}a_forged_approval_moves_nothing",)),
    ("What a code does not prove", LIMIT),
    (
        "A policy with `signatures: required`",
        (f"{_PROOFS}a_proof_by_signature_needs_no_trust_in_the_key_of_codes_and_counts_where_signatures_are_required",),
    ),
    ("A person who can write the storage can", (f"{_STORED}a_quorum_edited_in_what_is_remembered_opens_no_gate",)),
    (
        "Each result (the plan as it was taken",
        (
            "tasks/record/test_sealing::test_any_changed_byte_is_noticed",
            "tasks/record/test_sealing::test_a_sealed_object_cannot_take_anothers_place",
        ),
    ),
    (
        "What was edited, forged or copied",
        (f"{_STORED}a_changed_record_stops_the_release", f"{_STORED}a_phase_result_of_another_release_is_not_believed"),
    ),
    (
        "If nothing of a record can be trusted",
        ("flows/test_unreadable_record::test_a_release_at_half_of_the_traffic_is_rolled_back_without_its_record",),
    ),
    (
        "What a run was asked for, which version",
        (
            "tasks/record/test_kept_entries::test_a_rollback_finds_what_was_decided_although_the_record_is_gone",
            f"{_STORED}a_run_that_died_with_its_record_is_settled_by_what_it_was_asked",
        ),
    ),
    ("If it is not there either", (f"{_BACK}a_rollback_that_loses_its_record_does_not_turn_round",)),
    (
        "The place and hash of each record's last entry",
        (
            "tasks/record/test_store::test_an_end_that_others_changed_is_said_and_never_repaired",
            f"{_STORED}a_changed_record_stops_the_release",
        ),
    ),
    (
        "If the key or its folder cannot be used",
        (
            "tasks/record/test_without_key::test_a_key_that_others_may_read_stops_what_goes_forward_and_no_rollback",
            "tasks/record/test_without_key::test_a_key_folder_that_cannot_be_written_stops_no_rollback",
        ),
    ),
    (
        "The same holds for anything that is not",
        (
            f"{_PLANTED}nothing_goes_forward_where_the_next_entry_is_planted",
            f"{_PLANTED}a_rollback_goes_on_where_the_next_entry_is_planted",
            f"{_PLANTED}a_rollback_goes_on_without_what_cannot_be_stored",
            f"{_STORED}a_release_is_rolled_back_although_its_next_entry_is_planted",
        ),
    ),
    ("A rollback, on demand or of a release", (f"{_AWAY}a_storage_that_hangs_is_waited_for_once_and_asked_again_after_a_while",)),
    (
        "It goes by what is kept beside the key",
        (
            f"{_AWAY}one_object_that_cannot_be_read_hides_no_other",
            f"{_AWAY}a_rollback_goes_on_without_results_that_the_storage_does_not_give",
        ),
    ),
    (
        "An older version that is named then counts",
        (f"{_FOUND}in_a_rollback_what_is_kept_of_a_closed_record_makes_the_version_known_if_that_cannot_be_read",),
    ),
    ("Only the closing entry waits", (f"{_AWAY}only_the_entry_that_closes_a_record_waits_for_the_storage",)),
    (
        "People are told at once, as",
        ("flows/test_alert_of_a_rollback::test_people_are_told_once_how_it_ended_while_the_storage_does_not_take_its_end",),
    ),
    ("If a record is closed, as `keys/heads/`", (f"{_AWAY}a_closed_record_that_cannot_be_read_is_not_open",)),
    (
        "No link below `storage/` is followed",
        (
            f"{_PLANTED}a_folder_that_became_a_link_is_not_followed",
            f"{_PLANTED}no_more_is_read_than_the_bounds_say",
            f"{_PLANTED}an_object_over_the_bound_is_refused_and_of_a_remote_one_no_more_is_read",
        ),
    ),
    (
        "Removing a result makes its task run again",
        (
            f"{_APPROVED}an_answer_that_is_judged_again_comes_out_the_same",
            f"{_BEGUN}a_remembered_plan_that_is_gone_is_not_read_anew",
            "commands/test_approve_and_approvers::test_an_approval_of_what_has_changed_is_told_as_void",
        ),
    ),
    (
        "From its first change on a release goes by",
        (
            f"{_BEGUN}a_remembered_plan_that_is_gone_is_not_read_anew",
            f"{_EDITED}a_rollback_that_began_keeps_its_plan",
        ),
    ),
    ("If that is gone, too, and no plan", (f"{_BEGUN}a_release_without_a_plan_that_moved_something_is_not_closed",)),
    (
        "What they cannot do either is end",
        ("flows/test_runs_changed_by_the_api::test_a_release_half_way_is_rolled_back_whatever_becomes_of_its_run",),
    ),
    (
        "The keeper looks after every run",
        (
            f"{_CARE}a_run_whose_tags_were_taken_away_is_looked_after",
            f"{_CARE}a_run_that_was_deleted_is_settled_by_its_record",
            "tasks/record/test_open_runs_unread::test_one_that_others_suspended_is_woken",
        ),
    ),
    (
        "Tags, states and heartbeats that others write",
        (
            f"{_CARE}a_final_state_of_a_run_that_is_not_closed_is_not_its_end",
            "rules/lifecycle/test_reconcile_interleavings::test_heartbeats_that_others_post_hide_no_dead_run_and_double_no_live_one",
        ),
    ),
    ("To stop a release, cancel it", ADVICE),
    ("A rollback goes by the parameters with which", (f"{_BACK}a_rollback_goes_by_what_it_was_opened_with",)),
    (
        "It decides which version is bad before",
        (
            f"{_BACK}a_rollback_that_can_do_nothing_stops_nothing",
            f"{_BACK}a_rollback_that_would_change_nothing_is_refused_and_says_what_runs",
        ),
    ),
    (
        "`shipway history` goes by the records",
        (
            "commands/test_cli::test_the_history_counts_the_runs_that_the_server_does_not_list_any_more",
            "commands/test_cli::test_the_history_believes_the_record_and_not_a_tag",
        ),
    ),
    (
        "Of at most 200 runs it reads and verifies",
        (
            "tasks/record/test_past::test_of_more_than_two_hundred_runs_the_kept_facts_count_and_the_deleted_are_found_among_them",
            "tasks/record/test_past::test_a_record_that_was_changed_is_broken_although_its_facts_were_kept",
        ),
    ),
    ("What they can do: prevent releases", LIMIT),
    ("They can also change what staging runs", LIMIT),
    (
        "For production, the digest covers every setting",
        (
            "tasks/evidence/test_digest_covers_all::test_each_setting_of_a_block_gives_another_digest",
            "tasks/evidence/test_digest_covers_all::test_a_secret_is_hashed_under_the_key",
            "tasks/evidence/test_deciding_files::test_each_file_that_decides_gives_another_digest_if_it_is_changed",
        ),
    ),
    (
        "Whoever changes one before production's first change",
        (
            "flows/test_gate_faults::test_what_changed_while_it_waited_is_asked_again",
            "commands/test_approve_and_approvers::test_an_approval_of_what_has_changed_is_told_as_void",
        ),
    ),
    (
        "Whenever a release that has begun loads",
        (
            f"{_BEGUN}a_platform_that_was_edited_after_the_first_change_does_not_act",
            f"{_BEGUN}another_prometheus_does_not_judge",
            f"{_BEGUN}credentials_that_lead_elsewhere_in_the_middle_are_not_used",
        ),
    ),
    ("A rollback needs no approval, so a local", ("blocks/local/test_platform::test_a_rollback_does_not_run_what_a_block_says_since",)),
    (
        "Nor does it go by the platform's blocks",
        (
            "attacks/test_blocks::test_no_edit_of_its_block_keeps_an_environment_from_its_rollback",
            f"{_DEPLOYED}no_edit_of_a_gitops_block_or_of_one_that_it_names_stops_or_redirects_a_rollback",
        ),
    ),
    (
        "Only a secret that is refused there by now",
        (
            f"{_DEPLOYED}rotated_secrets_count_and_go_nowhere_else",
            f"{_DEPLOYED}a_kept_secret_that_does_not_answer_is_not_a_kept_secret_that_is_refused",
            f"{_SCRIPTS}a_status_that_does_not_answer_for_a_moment_lets_no_other_secrets_count",
        ),
    ),
    (
        "The scripts of a rollback take turns",
        (
            f"{_SCRIPTS}however_status_answered_before_the_scripts_of_a_rollback_get_their_tries_with_the_secrets_of_the_release",
            f"{_SCRIPTS}what_present_secrets_read_proves_no_run_with_them_while_those_of_the_release_have_a_try",
            f"{_SCRIPTS}rotated_secrets_that_status_needs_count",
        ),
    ),
    (
        "If you have moved an environment yourself",
        ("attacks/test_blocks::test_an_operator_who_has_the_machine_can_correct_a_block_before_a_rollback",),
    ),
    ("Remove it, too, for an environment", ADVICE),
    (
        "A block under another name that leads",
        (f"{_DEPLOYED}a_renamed_block_is_rolled_back_by_as_the_release_had_it",),
    ),
    (
        "Nor does an edit of the plan file send",
        (
            f"{_EDITED}a_rollback_goes_where_the_last_release_acted_whatever_the_file_says_by_now",
            "flows/test_edited_plan::test_a_broken_plan_file_does_not_refuse_the_rollback",
            "rules/rollout/test_plan_choice::test_a_target_that_the_file_leaves_out_can_be_rolled_back",
        ),
    ),
    ("Whoever writes the file can choose the checks", (f"{_EDITED}an_edit_that_changes_no_place_counts",)),
    ("Protect the password like a shell", ADVICE),
    (
        "Where results and records are kept is",
        (
            "tasks/record/test_sealing::test_the_servers_own_default_storage_never_counts",
            f"{_STACK}doctor::test_a_default_storage_that_was_set_on_the_server_is_named",
        ),
    ),
    ("If `PREFECT_DEFAULT_RESULT_STORAGE_BLOCK` names", (f"{_KEPT}it_stays_where_it_was_when_it_was_first_used",)),
    (
        "If its secrets are refused by then",
        (
            f"{_ROTATED}secrets_that_are_refused_are_replaced_by_those_of_the_block",
            f"{_ROTATED}secrets_that_serve_stay_whatever_the_block_has_now",
        ),
    ),
    ("The same address means", (f"{_ROTATED}a_block_leads_to_the_same_place_if_only_its_secrets_differ",)),
    ("After another change of your own", (f"{_ROTATED}a_storage_that_refuses_names_its_file_and_the_cause",)),
    ("If only the approval key is another one", (f"{_ROTATED}under_another_key_it_is_kept_anew_where_it_led",)),
    (
        "If it was never kept and cannot be loaded",
        (
            f"{_KEPT}what_cannot_be_loaded_stops_what_goes_forward_and_no_rollback",
            f"{_KEPT}the_doctor_says_what_became_of_the_block",
        ),
    ),
    ("What a run executes cannot be changed", (f"{_STARTED}a_changed_deployment_starts_nothing",)),
    ("`shipway up` remembers what it deployed", (f"{_STACK}deploy::test_only_what_the_file_says_is_remembered",)),
    (
        "Before a worker of `shipway up` starts a process",
        (
            f"{_STARTED}a_runs_own_job_variables_start_nothing",
            f"{_STARTED}a_deployment_that_no_one_deployed_here_starts_nothing",
        ),
    ),
    ("The message says what differs", (f"{_STACK}deployed::test_a_changed_deployment_of_the_rollback_is_refused",)),
    (
        "A changed deployment of `rollback`",
        (
            f"{_STARTED}a_changed_deployment_of_the_rollback_stops_no_rollback",
            f"{_STARTED}changed_default_parameters_stop_neither_a_rollback_nor_the_keeper",
            f"{_STARTED}a_changed_template_of_the_pool_changes_nothing",
            f"{_STACK}restore::test_a_deleted_deployment_is_deployed_again",
            f"{_STACK}restore::test_the_keepers_schedule_comes_back",
        ),
    ),
    ("The worker's log says what differed", (f"{_STACK}restore::test_the_keepers_schedule_comes_back",)),
    (
        "The same holds for the concurrency limit",
        (
            f"{_STARTED}a_concurrency_limit_on_the_rollback_stops_no_rollback",
            f"{_STARTED}what_is_deployed_again_has_no_limit_that_the_file_does_not_name",
        ),
    ),
    (
        "If `deployed.json` itself cannot be read",
        (
            f"{_STACK}deployed::test_a_broken_file_refuses_what_goes_forward_and_is_named",
            f"{_STACK}deployed::test_a_broken_file_stops_no_rollback",
            f"{_STACK}deployed::test_who_breaks_the_file_starts_nothing_else_under_the_name_of_a_rollback",
        ),
    ),
    ("A deployment of your own belongs", ADVICE),
    (
        "The process of a run is given the entry point",
        (
            f"{_STACK}deployed::test_what_was_compared_is_what_runs_whatever_the_server_says_later",
            f"{_STACK}deployed::test_a_deployment_that_fetches_its_code_is_left_to_its_pull_steps",
            f"{_STARTED}pull_steps_added_to_a_run_under_way_run_neither_in_its_process_nor_after_it",
        ),
    ),
    ("Other workers, as in `prefect.kubernetes.yaml`", LIMIT),
    ("A person who controls the worker's machine", LIMIT),
    (
        "Remove an approver: `shipway approvers remove",
        ("commands/test_approve_and_approvers::test_people_are_enrolled_listed_and_removed",),
    ),
    (
        "The secret and the SSH keys become useless",
        (
            f"{_SECRETS}a_removed_person_cannot_be_put_back",
            f"{_SECRETS}no_secret_counts_that_was_made_before_a_removal_or_a_new_one_whatever_the_block_shows",
            f"{_REVOKED}a_removal_revokes_before_it_asks_the_server_whatever_that_answers",
            f"{_SIGNERS}a_removed_key_does_not_count_again_if_its_line_is_restored",
            _REPLACED,
            f"{_ASKED}a_signature_counts_until_its_key_is_removed",
            f"{_APPROVED}an_approval_is_void_once_its_person_was_removed",
        ),
    ),
    ("One that has goes on", (f"{_APPROVED}a_half_deployed_release_goes_on_although_its_approvers_left",)),
    ("Remove the name from the plans too", ADVICE),
    ("Names are lower-case ASCII letters", (f"{_SECRETS}a_name_that_could_confuse_is_not_enrolled",)),
    ("Requesters are held to the same pattern", (f"{_PROOFS}requesters_approvers_and_plans_have_the_same_names",)),
    (
        "To keep a requester from approving",
        ("rules/approval/test_answers::test_no_one_approves_what_the_same_person_requested_under_another_spelling",),
    ),
    (
        "Who a requester is, is proved only",
        (f"{_POLICY}who_requests_under_another_name_and_approves_alone_deploys_nothing",),
    ),
    (
        "A lost secret: `shipway approvers add",
        (
            f"{_SECRETS}enrolling_again_must_be_asked_for_and_ends_the_previous_secret",
            f"{_SECRETS}no_secret_counts_that_was_made_before_a_removal_or_a_new_one_whatever_the_block_shows",
            _REPLACED,
            f"{_PROOFS}a_code_of_a_secret_that_was_replaced_since_does_not_count",
            "rules/approval/test_ticks::test_an_entry_alone_is_believed_for_no_tick",
            "rules/approval/test_override::test_anything_else_sets_nothing_aside",
        ),
    ),
    (
        "It revokes before it asks the server",
        (
            f"{_REVOKED}a_removal_revokes_before_it_asks_the_server_whatever_that_answers",
            f"{_REVOKED}a_replaced_secret_is_revoked_before_the_server_is_asked_and_a_broken_block_is_begun_anew",
        ),
    ),
    ("Without `--replace` a name", (f"{_SECRETS}enrolling_again_must_be_asked_for_and_ends_the_previous_secret",)),
    (
        "A lost SSH key: `shipway approvers remove",
        (
            f"{_SIGNERS}a_lost_key_is_replaced_by_removing_the_person_and_adding_a_new_one",
            f"{_SIGNERS}a_removed_key_does_not_count_again_if_its_line_is_restored",
        ),
    ),
    ("`keys/allowed_signers` is OpenSSH's format", (f"{_SIGNERS}a_key_outside_of_its_time_does_not_hold",)),
    ("It must be 0600, as the key", (f"{_SIGNERS}signers_that_others_can_reach_are_refused",)),
    ("The key file must belong to the worker's user", (f"{_SECRETS}a_key_that_others_can_reach_is_refused",)),
    ("Otherwise nothing is approved, and the message", (f"{_SECRETS}a_key_that_others_can_reach_is_refused",)),
    (
        "Other users of this machine cannot take",
        (f"{_BOUNDS}the_port_is_never_free_for_another_user_while_a_process_knows_the_password",),
    ),
    (
        "If another user took it while Shipway was stopped",
        (
            f"{_BOUNDS}a_command_sends_no_password_to_another_user_on_the_port_of_a_stopped_stack",
            f"{_BOUNDS}a_stack_whose_port_another_user_took_starts_on_another_one",
        ),
    ),
    ("A browser does not know that", LIMIT),
    (
        "A version's port that another user binds first",
        (
            "attacks/test_ports::test_a_port_that_another_user_binds_first_makes_no_version_ready",
            "attacks/test_ports::test_a_port_that_another_user_takes_later_gets_no_more_requests",
        ),
    ),
    (
        "A daemon of root's that listens",
        ("blocks/test_listeners::test_a_daemon_of_roots_listens_for_a_version_of_an_ordinary_user_alone",),
    ),
    (
        "A WebSocket that has not authenticated",
        (
            f"{_BOUNDS}a_hundred_sockets_that_never_authenticate_cost_little_memory_and_end",
            f"{_BOUNDS}a_silent_socket_ends_by_time_and_a_few_dozen_by_number",
        ),
    ),
    (
        "The metrics at",
        (
            f"{_STACK}exposition::test_without_the_token_no_figure_is_told",
            f"{_STACK}exposition::test_the_token_is_private_stays_the_same_and_is_another_than_the_password",
        ),
    ),
    ("Change the API's password", (f"{_BOUNDS}a_stack_whose_port_another_user_took_starts_on_another_one",)),
    (
        "A policy (policy.md) beside the key says",
        (
            f"{_POLICY}a_plan_without_approval_does_not_get_into_a_protected_environment",
            f"{_POLICY}an_analysis_that_decides_nothing_does_not_get_into_a_protected_environment",
        ),
    ),
    ("Without one, a plan of one's own", (f"{_POLICY}a_platform_block_belongs_to_the_first_service_also_without_a_policy",)),
    ("Secrets in texts", HEADING),
    (
        "What a run loads as a secret",
        (
            "attacks/test_in_and_out::test_a_failing_release_shows_its_secret_nowhere",
            f"{_BORDERS}states_results_and_events_hold_no_secret",
            f"{_BORDERS}a_log_record_and_its_traceback_hold_no_secret",
        ),
    ),
    (
        "Text and secret are compared without escapes",
        (f"{_HIDDEN}any_secret_is_hidden_in_any_two_ways_of_writing_it", f"{_HIDDEN}any_secret_is_hidden_between_any_texts"),
    ),
    ("Escapes: percent", (f"{_HIDDEN}a_secret_is_hidden_in_every_spelling",)),
    ("UTF-8 that was read as Latin-1", (f"{_HIDDEN}a_secret_is_hidden_in_every_spelling",)),
    ("Case, and what may stand between", (f"{_HIDDEN}a_secret_is_hidden_in_every_spelling",)),
    ("Digits: base64", (f"{_HIDDEN}a_secret_is_hidden_in_every_spelling",)),
    ("The whole run of digits is replaced", (f"{_HIDDEN}a_secret_is_hidden_in_every_spelling",)),
    ("Where Shipway or the local platform cut", (f"{_HIDDEN}half_a_secret_at_a_cut_is_hidden",)),
    ("Not recognised: what is encrypted", LIMIT),
    ("Values of less than six characters", (f"{_HIDDEN}short_values_and_ordinary_words_are_not_hidden",)),
    (
        "An error's text does not show the bytes",
        (f"{_BORDERS}the_bytes_that_an_error_quotes_stay_in_this_process", "blocks/test_outside_text::test_an_error_shows_no_bytes"),
    ),
    ("A plan is code: review it like code", ADVICE),
    (
        "Its test commands and pytest, the services",
        (f"{_USERS}the_code_under_release_knows_of_the_shells_environment_only_what_is_listed",),
    ),
    ("The code under release can do what its user can", LIMIT),
    (
        "If Shipway runs as root and the machine has",
        (f"{_USERS}the_code_under_release_reads_no_key_where_there_is_a_user_for_it",),
    ),
    ("They read no key and no environment", (f"{_USERS}the_code_under_release_reads_no_key_where_there_is_a_user_for_it",)),
    ("Two versions of one environment are one user", LIMIT),
    (
        "What it started ends with it",
        (
            "blocks/local/test_strays::test_a_daemon_that_stops_the_baseline_ends_with_its_version",
            "blocks/local/test_strays::test_a_baseline_that_gives_no_answer_after_a_rollback_is_started_anew",
        ),
    ),
    (
        "They need a project, a Python and a home",
        (
            f"{_USERS}a_home_that_the_user_cannot_reach_starts_nothing_as_root",
            f"{_USERS}a_home_that_is_itself_closed_to_the_user_is_what_the_doctor_finds",
        ),
    ),
    ("Otherwise everything is one user", (f"{_USERS}without_such_a_user_the_doctor_says_what_that_means",)),
    ("`shipway doctor` says which of both", (f"{_USERS}without_such_a_user_the_doctor_says_what_that_means",)),
    (
        "The shell's environment does not reach",
        (f"{_STACK}layout::test_of_the_shell_the_stack_knows_what_is_listed_and_what_is_named",),
    ),
    (
        "`SHIPWAY_PASS=NAME,NAME` at `shipway up`",
        (f"{_STACK}layout::test_of_the_shell_the_stack_knows_what_is_listed_and_what_is_named",),
    ),
    (
        "Secrets that plans name are credential blocks",
        (
            "rules/plan/test_credentials::test_a_credential_goes_where_its_block_says_and_nowhere_else",
            "rules/plan/test_credentials::test_every_place_in_which_a_plan_names_a_credential_is_a_use_of_it",
        ),
    ),
    (
        "So who can only write a plan sends no secret",
        ("tasks/rollout/test_credentials::test_nothing_is_sent_that_the_block_does_not_allow",),
    ),
    ("They bind plans, not people", LIMIT),
    (
        "A plan says itself which service it is for",
        (f"{_POLICY}a_version_that_no_signer_signed_does_not_get_into_a_protected_environment",),
    ),
    ("Until then it can ask a listed host", LIMIT),
    ("Give credentials no more rights", ADVICE),
)
