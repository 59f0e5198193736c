//! Each call of the REST interface has a verb.

use std::collections::BTreeSet;

use clap::CommandFactory;
use serde_json::Value;

/// The `operationId` of each call, and the command that makes it, with the flag that chooses the call if one does.
const VERBS: &[(&str, &str)] = &[
    ("get_accounts", "ctl account list"),
    ("post_accounts", "ctl account add"),
    ("get_accounts_name", "ctl account show"),
    ("put_accounts_name", "ctl account change"),
    ("delete_accounts_name", "ctl account remove"),
    ("post_accounts_name_sign_in_link", "ctl account link"),
    ("get_alerts", "ctl alert list"),
    ("post_alerts_acknowledge", "ctl alert ack"),
    ("get_alert_rules", "ctl alert rule list"),
    ("post_alert_rules_defaults", "ctl alert rule add --defaults"),
    ("get_alert_rules_name", "ctl alert rule show"),
    ("put_alert_rules_name", "ctl alert rule add"),
    ("delete_alert_rules_name", "ctl alert rule remove"),
    ("get_alert_silences", "ctl alert silence list"),
    ("post_alert_silences", "ctl alert silence add"),
    ("delete_alert_silences_id", "ctl alert silence remove"),
    ("get_alert_receivers", "ctl alert receiver list"),
    ("get_alert_receivers_name", "ctl alert receiver show"),
    ("put_alert_receivers_name", "ctl alert receiver add"),
    ("delete_alert_receivers_name", "ctl alert receiver remove"),
    ("post_alert_receivers_name_test", "ctl alert receiver test"),
    ("get_alert_deliveries", "ctl alert deliveries"),
    ("post_alert_deliveries_id_replay", "ctl alert replay"),
    ("get_audit", "ctl audit"),
    ("get_audit_chain", "ctl audit --chain"),
    ("get_bootstrap_claims", "ctl bootstrap pending"),
    ("delete_bootstrap_claims_endpoint", "ctl bootstrap refuse"),
    ("post_bootstrap_claims_endpoint_accept", "ctl bootstrap accept"),
    ("get_bootstrap_configs", "ctl bootstrap list"),
    ("put_bootstrap_configs", "ctl bootstrap put"),
    ("get_bootstrap_configs_pattern", "ctl bootstrap show"),
    ("delete_bootstrap_configs_pattern", "ctl bootstrap remove"),
    ("get_desired_states", "ctl desired list"),
    ("get_desired_states_name", "ctl desired show"),
    ("get_desired_states_name_devices", "ctl desired devices"),
    ("put_desired_states_name", "ctl desired set"),
    ("delete_desired_states_name", "ctl desired remove"),
    ("get_devices_endpoint_desired_state", "ctl desired device"),
    ("post_devices_endpoint_retire", "ctl retire"),
    ("post_devices_endpoint_bring_back", "ctl bring-back"),
    ("post_devices_endpoint_merge", "ctl merge"),
    ("get_devices_endpoint_why", "ctl why"),
    ("post_devices_endpoint_desired_state_retry", "ctl desired retry"),
    ("get_jobs", "ctl job list"),
    ("post_jobs", "ctl job read"),
    ("post_jobs_preview", "ctl job read --dry-run"),
    ("get_jobs_id", "ctl job show"),
    ("delete_jobs_id", "ctl job remove"),
    ("get_jobs_id_devices", "ctl job devices"),
    ("post_jobs_id_cancel", "ctl job cancel"),
    ("post_jobs_id_retry", "ctl job retry"),
    ("get_campaigns", "ctl campaign list"),
    ("post_campaigns", "ctl campaign add"),
    ("post_campaigns_preview", "ctl campaign preview"),
    ("post_campaigns_rehearse", "ctl campaign rehearse"),
    ("get_campaigns_id", "ctl campaign show"),
    ("put_campaigns_id", "ctl campaign change"),
    ("delete_campaigns_id", "ctl campaign remove"),
    ("post_campaigns_id_abort", "ctl campaign abort"),
    ("post_campaigns_id_approve", "ctl campaign approve"),
    ("get_campaigns_id_devices", "ctl campaign devices"),
    ("post_campaigns_id_pause", "ctl campaign pause"),
    ("get_campaigns_id_report", "ctl campaign report"),
    ("post_campaigns_id_resume", "ctl campaign resume"),
    ("post_campaigns_id_retry", "ctl campaign retry"),
    ("post_campaigns_id_start", "ctl campaign start"),
    ("get_credentials", "ctl credentials list"),
    ("post_credentials", "ctl credentials add"),
    ("post_credentials_import", "ctl credentials import"),
    ("get_credentials_id", "ctl credentials show"),
    ("delete_credentials_id", "ctl credentials remove"),
    ("post_credentials_id_revoke", "ctl credentials revoke"),
    ("post_credentials_id_rotate", "ctl credentials rotate"),
    ("get_device_counts", "ctl devices --count-by"),
    ("get_device_matches", "ctl filter explain"),
    ("get_devices", "ctl devices"),
    ("post_devices", "ctl import"),
    ("post_devices_import", "ctl import"),
    ("get_devices_endpoint", "ctl device"),
    ("delete_devices_endpoint", "ctl forget"),
    ("patch_devices_endpoint", "ctl note"),
    ("get_devices_endpoint_objects", "ctl objects"),
    ("get_devices_endpoint_observations", "ctl device"),
    ("get_devices_endpoint_series", "ctl series"),
    ("get_devices_endpoint_series_path", "ctl series --step"),
    ("get_devices_endpoint_trace", "ctl trace"),
    ("get_devices_endpoint_values", "ctl values"),
    ("get_events", "ctl events"),
    ("get_filters", "ctl filter list"),
    ("put_filters_name", "ctl filter save"),
    ("delete_filters_name", "ctl filter remove"),
    ("get_firmware", "ctl firmware list"),
    ("post_firmware", "ctl firmware upload"),
    ("get_firmware_digest", "ctl firmware show"),
    ("delete_firmware_digest", "ctl firmware delete"),
    ("put_firmware_digest_signature", "ctl firmware upload --signature"),
    ("get_groups", "ctl group list"),
    ("get_groups_name", "ctl group show"),
    ("put_groups_name", "ctl group set"),
    ("delete_groups_name", "ctl group remove"),
    ("post_groups_name_devices", "ctl group add"),
    ("get_me", "ctl whoami"),
    ("put_me_password", "ctl account password"),
    ("post_me_second_factor", "ctl account second-factor"),
    ("post_me_second_factor_confirm", "ctl account second-factor"),
    ("post_me_second_factor_remove", "ctl account second-factor --remove"),
    ("get_openapi_json", "openapi"),
    ("get_operations", "ctl operations"),
    ("post_operations", "ctl read"),
    ("get_operations_id", "ctl operation"),
    ("delete_operations_id", "ctl cancel"),
    ("get_series", "ctl series"),
    ("get_setup", "ctl status"),
    ("post_setup", "ctl setup"),
    ("post_sign_in", "ctl login"),
    // The page uses the link up.
    ("post_sign_in_link", "ctl account link"),
    // The sign-in of `login` ends when its token is saved.
    ("post_sign_out", "ctl login"),
    ("get_tokens", "ctl token list"),
    ("post_tokens", "ctl token add"),
    ("delete_tokens_id", "ctl token remove"),
    ("get_updates", "ctl updates"),
    ("post_updates", "ctl update"),
    ("get_updates_id", "ctl updates"),
    ("delete_updates_id", "ctl cancel-update"),
];

#[test]
fn each_call_of_the_interface_has_a_verb() {
    let document: Value = serde_json::from_str(include_str!("../../../../api/openapi.json")).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let calls: BTreeSet<_> = operations.map(|it| it["operationId"].as_str().unwrap()).collect();
    let listed: BTreeSet<_> = VERBS.iter().map(|(call, _)| *call).collect();
    assert_eq!(listed.len(), VERBS.len(), "a call has one verb in this table");
    let without: Vec<_> = calls.difference(&listed).collect();
    assert!(without.is_empty(), "calls without a verb; write one, and name it in {}: {without:?}", file!());
    let gone: Vec<_> = listed.difference(&calls).collect();
    assert!(gone.is_empty(), "calls of this table that the interface does not have: {gone:?}");
}

#[test]
fn each_verb_of_the_table_is_there() {
    let program = crate::cli::Cli::command();
    for (call, verb) in VERBS {
        let mut command = &program;
        for word in verb.split(' ') {
            let found = match word.strip_prefix("--") {
                Some(flag) => command.get_arguments().any(|it| it.get_long() == Some(flag)),
                None => {
                    let next = command.find_subcommand(word);
                    command = next.unwrap_or(command);
                    next.is_some()
                }
            };
            assert!(found, "{call}: `buoy {verb}` has no {word}");
        }
    }
}

/// A global argument is read wherever it stands: one of the same name in a verb is another one to the program, and the same to a person.
#[test]
fn no_verb_has_an_argument_with_the_name_of_a_global_one() {
    fn check(command: &clap::Command, globals: &[String], wrong: &mut Vec<String>) {
        for verb in command.get_subcommands() {
            let own = verb.get_arguments().filter(|it| !it.is_global_set()).map(|it| it.get_id().as_str());
            let taken = own.filter(|id| globals.iter().any(|global| global == id));
            wrong.extend(taken.map(|id| format!("{} {id}", verb.get_name())));
            check(verb, globals, wrong);
        }
    }
    let program = crate::cli::Cli::command();
    let mut wrong = Vec::new();
    for command in program.get_subcommands() {
        let globals = command.get_arguments().filter(|it| it.is_global_set());
        let globals: Vec<_> = globals.map(|it| it.get_id().to_string()).collect();
        check(command, &globals, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
