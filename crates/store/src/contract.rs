//! What every store must do, whatever it is built on.

use std::any::Any;
use std::time::Duration;

use buoy_fleet::update::UpdateRecord;

use crate::{
    AuditFilter, AuditReport, AuditRow, BootstrapClaimChange, BootstrapClaimRow, BootstrapConfigChange,
    BootstrapConfigRow, Change, ChangeSet, CredentialChange, CredentialFilter, CredentialKind, CredentialRow,
    CredentialState, DeviceChange, DeviceDescription, DeviceRow, DocumentChange, DocumentKind, DocumentRow,
    FirmwareChange, FirmwareRow, KeyRow, LeftOut, MOST_SERIES, NewSample, OperationFilter, OperationRow,
    Page, Purpose, Reader, RecordChange, Rejection, Retention, Sample, Summary, Writer, verify_audit,
};

/// An empty store: its writer, a reader, and what must be kept alive meanwhile.
pub type Fresh = (Box<dyn Writer>, Box<dyn Reader>, Box<dyn Any>);

/// Runs the whole suite on stores that `make` makes.
///
/// # Panics
/// If the store breaks the contract.
pub fn check(make: impl Fn() -> Fresh) {
    for case in [
        registrations_come_back_by_ascending_key,
        the_last_word_on_a_registration_counts,
        a_set_that_is_refused_takes_no_other_with_it,
        operations_are_found_by_device_and_state,
        a_series_is_cut_by_time_and_summed_up,
        what_is_old_is_removed_and_what_is_open_stays,
        firmware_is_listed_newest_first,
        updates_are_found_while_they_are_open,
        a_reader_sees_what_is_committed_before_any_maintenance,
        a_value_outlives_a_removal_that_comes_before_it_is_in_order,
        a_device_has_no_more_series_than_it_may,
        numbers_that_are_not_finite_do_not_spoil_a_summary,
        maintenance_ends_within_its_budget_and_goes_on_later,
        much_in_one_commit_comes_back,
        an_idempotency_key_is_found_until_it_is_pruned,
        sessions_come_back_by_ascending_id,
        credentials_are_listed_newest_first,
        an_identity_has_one_credential,
        bootstrap_configurations_and_claims_are_kept_by_their_names,
        devices_are_kept_by_their_names,
        documents_are_kept_by_their_kinds_and_names,
        the_audit_log_is_listed_newest_first,
        the_audit_log_is_a_chain_of_hashes,
        a_backup_holds_what_was_committed,
    ] {
        let (mut writer, reader, _kept) = make();
        case(&mut *writer, &*reader);
    }
}

/// Commits one set, which must not be refused, and does all maintenance.
fn commit(writer: &mut dyn Writer, set: ChangeSet<'_>) {
    append(writer, set);
    maintain(writer, 0);
}

/// Commits one set, which must not be refused.
fn append(writer: &mut dyn Writer, set: ChangeSet<'_>) {
    let fates = writer.commit(&[set]).unwrap();
    assert_eq!(fates.of(0), Ok(()));
}

/// Does all maintenance, and removes what is older than `since`.
fn maintain(writer: &mut dyn Writer, since: u64) {
    loop {
        let left = writer.maintain(Retention { since }, Duration::from_secs(10)).unwrap();
        if left.unsorted == 0 && !left.is_removing {
            return;
        }
    }
}

fn put_registration(key: u64, record: &[u8]) -> Change<'_> {
    Change::Registration(RecordChange::Put { key, record: record.into() })
}

fn put_session(key: u64, record: &[u8]) -> Change<'_> {
    Change::Session(RecordChange::Put { key, record: record.into() })
}

fn put_credential(row: &CredentialRow) -> Change<'static> {
    Change::Credential(CredentialChange::Put(row.clone()))
}

fn put_sample<'a>(endpoint: &'a str, path: &str, at: u64, value: Sample) -> Change<'a> {
    Change::Sample(NewSample { endpoint: endpoint.into(), path: resource(path), at, value })
}

fn resource(path: &str) -> buoy_lwm2m::path::Path {
    path.parse().unwrap()
}

fn registrations(reader: &dyn Reader) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    reader.registrations(&mut |key, record| all.push((key, record.to_vec()))).unwrap();
    all
}

/// Keys come, change and go over many batches, of which only some are in order before the next.
fn the_last_word_on_a_registration_counts(writer: &mut dyn Writer, reader: &dyn Reader) {
    let mut expected = std::collections::BTreeMap::new();
    // A walk through all residues, the same in each run.
    let mut step = 1u64;
    let mut next = |below: u64| {
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (step >> 33) % below
    };
    for round in 0..200u64 {
        let changes: Vec<_> = (0..next(6)).map(|_| (next(round + 2), next(3), next(1 << 20))).collect();
        for (key, what, record) in &changes {
            match what {
                0 => expected.remove(key),
                _ => expected.insert(*key, record.to_be_bytes().to_vec()),
            };
        }
        let set = changes.iter().map(|(key, what, record)| {
            Change::Registration(match what {
                0 => RecordChange::Remove { key: *key },
                _ => RecordChange::Put { key: *key, record: record.to_be_bytes().to_vec().into() },
            })
        });
        append(writer, set.collect());
        if next(10) == 0 {
            maintain(writer, 0);
        }
        if next(5) == 0 {
            assert_eq!(registrations(reader), expected.clone().into_iter().collect::<Vec<_>>());
        }
    }
    maintain(writer, 0);
    assert_eq!(registrations(reader), expected.into_iter().collect::<Vec<_>>());
}

fn an_idempotency_key_is_found_until_it_is_pruned(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = KeyRow { key: "operation a".into(), digest: vec![1, 2], made: 7, at: 1000 };
    commit(writer, vec![Change::IdempotencyKey(row.clone())]);
    assert_eq!(reader.idempotency_key("operation a").unwrap().as_ref(), Some(&row));
    assert_eq!(reader.idempotency_key("operation b").unwrap(), None);
    // The operation itself may never have been saved: its number is taken all the same.
    assert_eq!(reader.last_operation().unwrap(), 7);
    let again = writer.commit(&[vec![Change::IdempotencyKey(KeyRow { made: 8, ..row })]]).unwrap();
    assert!(matches!(again.of(0), Err(Rejection::Conflict(_))), "a key is used once: {again:?}");
    maintain(writer, 10_000_000);
    assert_eq!(reader.idempotency_key("operation a").unwrap(), None);
}

fn sessions_come_back_by_ascending_id(writer: &mut dyn Writer, reader: &dyn Reader) {
    let high = u64::from(u32::MAX) << 8;
    commit(writer, vec![put_session(high, b"large"), put_session(2, b"two"), put_session(5, b"five")]);
    let remove = |key| Change::Session(RecordChange::Remove { key });
    commit(writer, vec![put_session(2, b"zwei"), remove(5), remove(77)]);
    let mut all = Vec::new();
    reader.sessions(&mut |id, record| all.push((id, record.to_vec()))).unwrap();
    assert_eq!(all, [(2, b"zwei".to_vec()), (high, b"large".to_vec())]);
}

fn credential(id: u64, endpoint: &str, kind: CredentialKind, identity: &[u8]) -> CredentialRow {
    CredentialRow {
        id,
        purpose: Purpose::Lwm2m,
        endpoint: endpoint.into(),
        kind,
        identity: identity.into(),
        sealed: vec![id as u8; 3],
        created_at: id * 1000,
        state: CredentialState::Active,
    }
}

fn credentials_are_listed_newest_first(writer: &mut dyn Writer, reader: &dyn Reader) {
    let first = credential(1, "a", CredentialKind::Psk, b"a");
    let second = CredentialRow { purpose: Purpose::Bootstrap, id: 2, ..first.clone() };
    let mut third = credential(3, "b", CredentialKind::X509, b"");
    let fourth = credential(4, "c", CredentialKind::X509, b"");
    let rows = [first.clone(), second.clone(), third.clone(), fourth.clone()];
    commit(writer, rows.iter().map(put_credential).collect());
    (third.state, third.sealed) = (CredentialState::Revoked, Vec::new());
    let change = |change| Change::Credential(change);
    commit(
        writer,
        vec![
            change(CredentialChange::SetState { id: 3, state: CredentialState::Revoked }),
            change(CredentialChange::SetState { id: 1, state: CredentialState::Active }),
            change(CredentialChange::Remove { id: 4 }),
        ],
    );
    let list = |filter: CredentialFilter<'_>, page| reader.credentials(&filter, page).unwrap();
    let all = Page { before: u64::MAX, limit: 10 };
    assert_eq!(list(CredentialFilter::default(), all), [third.clone(), second.clone(), first.clone()]);
    assert_eq!(
        list(CredentialFilter::default(), Page { before: 3, limit: 1 }),
        std::slice::from_ref(&second)
    );
    let of_a = CredentialFilter { endpoint: Some("a"), purpose: None };
    assert_eq!(list(of_a, all), [second.clone(), first.clone()]);
    let for_lwm2m = CredentialFilter { purpose: Some(Purpose::Lwm2m), ..of_a };
    assert_eq!(list(for_lwm2m, all), std::slice::from_ref(&first));
    assert_eq!(reader.credential(3).unwrap(), Some(third.clone()));
    assert_eq!(reader.credential(4).unwrap(), None);
    let mut each = Vec::new();
    reader.each_credential(&mut |row| each.push(row)).unwrap();
    assert_eq!(each, [first, second, third]);
}

fn an_identity_has_one_credential(writer: &mut dyn Writer, reader: &dyn Reader) {
    let first = credential(1, "a", CredentialKind::Psk, b"same");
    commit(writer, vec![put_credential(&first)]);
    let other = credential(2, "b", CredentialKind::Psk, b"same");
    let fates = writer.commit(&[vec![put_credential(&other)]]).unwrap();
    assert!(matches!(fates.of(0), Err(Rejection::Conflict(_))), "{fates:?}");
    assert_eq!(reader.credential(1).unwrap(), Some(first));
    assert_eq!(reader.credential(2).unwrap(), None);
}

fn bootstrap_configurations_and_claims_are_kept_by_their_names(writer: &mut dyn Writer, reader: &dyn Reader) {
    let config = |pattern: &str, changed_at| BootstrapConfigRow {
        pattern: pattern.into(),
        sealed: vec![1, 2],
        changed_at,
    };
    let claim = |endpoint: &str, accepted_at| BootstrapClaimRow {
        endpoint: endpoint.into(),
        address: "192.0.2.1:5".into(),
        first_asked: 1,
        last_asked: 2,
        accepted_at,
    };
    let put_config = |pattern, at| Change::BootstrapConfig(BootstrapConfigChange::Put(config(pattern, at)));
    let put_claim = |endpoint, at| Change::BootstrapClaim(BootstrapClaimChange::Put(claim(endpoint, at)));
    commit(
        writer,
        vec![put_config("buoy-*", 1), put_config("a", 1), put_claim("b", None), put_claim("a", None)],
    );
    commit(
        writer,
        vec![
            put_config("buoy-*", 2),
            Change::BootstrapConfig(BootstrapConfigChange::Remove { pattern: "a".into() }),
            put_claim("a", Some(9)),
            Change::BootstrapClaim(BootstrapClaimChange::Remove { endpoint: "b".into() }),
        ],
    );
    assert_eq!(reader.bootstrap_configs().unwrap(), [config("buoy-*", 2)]);
    assert_eq!(reader.bootstrap_claims().unwrap(), [claim("a", Some(9))]);
}

fn registrations_come_back_by_ascending_key(writer: &mut dyn Writer, reader: &dyn Reader) {
    let set = vec![put_registration(9, b"nine"), put_registration(2, b"two"), put_registration(5, b"five")];
    commit(writer, set);
    let remove = |key| Change::Registration(RecordChange::Remove { key });
    commit(writer, vec![put_registration(2, b"zwei"), remove(5), remove(77)]);
    assert_eq!(registrations(reader), [(2, b"zwei".to_vec()), (9, b"nine".to_vec())]);
}

fn a_set_that_is_refused_takes_no_other_with_it(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = credential(1, "a", CredentialKind::Psk, b"same");
    commit(writer, vec![put_credential(&row)]);
    let large = vec![7; 300_000];
    let sets = [
        vec![put_registration(1, b"one"), put_sample("a", "/3/0/9", 1, Sample::Integer(1))],
        vec![
            put_registration(2, &large),
            put_sample("b", "/3/0/9", 1, Sample::Integer(1)),
            Change::Operation(operation(7, "b", false)),
            put_credential(&credential(2, "b", CredentialKind::Psk, b"same")),
        ],
        vec![put_registration(3, b"three"), put_sample("b", "/3/0/9", 2, Sample::Integer(2))],
    ];
    let fates = writer.commit(&sets).unwrap();
    assert_eq!((fates.of(0), fates.of(2)), (Ok(()), Ok(())));
    assert!(matches!(fates.of(1), Err(Rejection::Conflict(_))), "{fates:?}");
    for _ in 0..2 {
        assert_eq!(registrations(reader), [(1, b"one".to_vec()), (3, b"three".to_vec())]);
        assert_eq!(reader.samples("a", "/3/0/9", 0..9, 9).unwrap(), [(1, Sample::Integer(1))]);
        assert_eq!(reader.samples("b", "/3/0/9", 0..9, 9).unwrap(), [(2, Sample::Integer(2))]);
        assert_eq!(reader.operation(7).unwrap(), None);
        maintain(writer, 0);
    }
}

fn operation(id: u64, endpoint: &str, ended: bool) -> OperationRow {
    OperationRow { id, endpoint: endpoint.into(), ended, changed_at: id * 1000, record: vec![id as u8] }
}

fn operations_are_found_by_device_and_state(writer: &mut dyn Writer, reader: &dyn Reader) {
    let rows = [
        operation(1, "a", false),
        operation(2, "b", true),
        operation(3, "a", true),
        operation(4, "a", false),
    ];
    commit(writer, rows.iter().cloned().map(Change::Operation).collect());
    let ids = |filter: OperationFilter<'_>, page: Page| -> Vec<u64> {
        reader.operations(&filter, page).unwrap().iter().map(|row| row.id).collect()
    };
    let all = Page { before: u64::MAX, limit: 10 };
    assert_eq!(ids(OperationFilter::default(), all), [4, 3, 2, 1]);
    assert_eq!(ids(OperationFilter { endpoint: Some("a"), ended: None }, all), [4, 3, 1]);
    assert_eq!(ids(OperationFilter { endpoint: Some("a"), ended: Some(false) }, all), [4, 1]);
    assert_eq!(ids(OperationFilter::default(), Page { before: 4, limit: 2 }), [3, 2]);
    assert_eq!(reader.open_operations().unwrap(), [rows[0].clone(), rows[3].clone()]);
    assert_eq!(reader.operation(3).unwrap(), Some(rows[2].clone()));
    assert_eq!(reader.operation(8).unwrap(), None);
    assert_eq!(reader.last_operation().unwrap(), 4);
}

fn a_series_is_cut_by_time_and_summed_up(writer: &mut dyn Writer, reader: &dyn Reader) {
    let path = "/3303/0/5700";
    let mut set: Vec<_> =
        (0..10).map(|at| put_sample("a", path, at * 1000, Sample::Float(at as f64))).collect();
    set.push(put_sample("a", path, 3000, Sample::Integer(30)));
    set.push(put_sample("a", "/3/0/0", 5, Sample::Text("maker".into())));
    set.push(put_sample("b", path, 5, Sample::Opaque(vec![1, 2])));
    commit(writer, set);
    assert_eq!(reader.series("a").unwrap(), ["/3/0/0", path]);
    let cut = reader.samples("a", path, 2000..4000, 10).unwrap();
    assert_eq!(cut, [(2000, Sample::Float(2.0)), (3000, Sample::Integer(30))]);
    assert_eq!(reader.samples("a", path, 0..u64::MAX, 3).unwrap().len(), 3);
    assert_eq!(reader.samples("b", path, 0..10, 3).unwrap(), [(5, Sample::Opaque(vec![1, 2]))]);
    let summary = reader.summary("a", path, 0..5000, 2000).unwrap();
    let row = |at, count, min, max, mean| Summary { at, count, min, max, mean };
    assert_eq!(
        summary,
        [row(0, 2, 0.0, 1.0, 0.5), row(2000, 2, 2.0, 30.0, 16.0), row(4000, 1, 4.0, 4.0, 4.0)]
    );
    assert_eq!(reader.summary("a", "/3/0/0", 0..9, 1).unwrap(), []);
    let mut last = Vec::new();
    let mut each = |endpoint: &str, path: &str, at, value| {
        last.push((endpoint.to_owned(), path.to_owned(), at, value));
    };
    reader.last_samples(&mut each).unwrap();
    let row = |endpoint: &str, path: &str, at, value| (endpoint.to_owned(), path.to_owned(), at, value);
    assert_eq!(
        last,
        [
            row("a", "/3/0/0", 5, Sample::Text("maker".into())),
            row("a", path, 9000, Sample::Float(9.0)),
            row("b", path, 5, Sample::Opaque(vec![1, 2])),
        ]
    );
}

fn a_reader_sees_what_is_committed_before_any_maintenance(writer: &mut dyn Writer, reader: &dyn Reader) {
    let path = "/3303/0/5700";
    let put = |at, value| put_sample("a", path, at, Sample::Integer(value));
    commit(writer, vec![put(1000, 1), put(3000, 3), put(5000, 5)]);
    append(writer, vec![put(3000, 30), put_registration(1, b"x"), put_session(1, b"y")]);
    append(writer, vec![put(500, 0), put(4000, 4), put(9000, 9)]);
    let all: Vec<_> = [(500, 0), (1000, 1), (3000, 30), (4000, 4), (5000, 5), (9000, 9)]
        .map(|(at, value)| (at, Sample::Integer(value)))
        .into();
    let summary = Summary { at: 0, count: 6, min: 0.0, max: 30.0, mean: 49.0 / 6.0 };
    for _ in 0..2 {
        assert_eq!(reader.samples("a", path, 0..10_000, 9).unwrap(), all);
        assert_eq!(reader.samples("a", path, 1000..9000, 2).unwrap(), all[1..3]);
        let told = reader.summary("a", path, 0..10_000, 10_000).unwrap();
        assert!(
            matches!(told[..], [one] if one.count == 6 && (one.mean - summary.mean).abs() < 1e-9),
            "{told:?}"
        );
        assert_eq!(registrations(reader), [(1, b"x".to_vec())]);
        let mut sessions = Vec::new();
        reader.sessions(&mut |id, record| sessions.push((id, record.to_vec()))).unwrap();
        assert_eq!(sessions, [(1, b"y".to_vec())]);
        maintain(writer, 0);
    }
}

fn a_value_outlives_a_removal_that_comes_before_it_is_in_order(writer: &mut dyn Writer, reader: &dyn Reader) {
    let (one, two) = ("/3303/0/5700", "/3303/0/5701");
    commit(writer, vec![put_sample("a", one, 1000, Sample::Integer(1))]);
    // Of one series all that is in order is old; the other begins.
    append(writer, vec![put_sample("a", one, 9_000_000, Sample::Integer(2))]);
    append(writer, vec![put_sample("a", two, 9_000_000, Sample::Integer(3))]);
    maintain(writer, 5_000_000);
    commit(writer, vec![put_sample("b", one, 9_000_000, Sample::Integer(4))]);
    let all = |endpoint, path| reader.samples(endpoint, path, 0..u64::MAX, 9).unwrap();
    assert_eq!(all("a", one), [(9_000_000, Sample::Integer(2))]);
    assert_eq!(all("a", two), [(9_000_000, Sample::Integer(3))]);
    maintain(writer, 20_000_000);
    assert_eq!(reader.series("a").unwrap(), [""; 0]);
    // A series that was removed begins anew.
    commit(writer, vec![put_sample("a", one, 30_000_000, Sample::Integer(5))]);
    assert_eq!(all("a", one), [(30_000_000, Sample::Integer(5))]);
    assert_eq!(all("b", one), []);
}

fn a_device_has_no_more_series_than_it_may(writer: &mut dyn Writer, reader: &dyn Reader) {
    let put = |endpoint, number: usize| {
        put_sample(endpoint, &format!("/33{}/{}/5700", number / 1000, number % 1000), 7, Sample::Integer(1))
    };
    let fates = writer.commit(&[(0..MOST_SERIES + 10).map(|number| put("a", number)).collect()]).unwrap();
    assert_eq!(fates.left_out, [LeftOut { endpoint: "a".into(), values: 10 }]);
    assert_eq!(reader.series("a").unwrap().len(), MOST_SERIES);
    // Those that it has go on, and other devices are not concerned.
    let fates = writer.commit(&[vec![put("a", 3), put("b", MOST_SERIES + 1)]]).unwrap();
    assert_eq!(fates.left_out, []);
    maintain(writer, 10_000_000);
    append(writer, vec![put("a", MOST_SERIES + 1)]);
    assert_eq!(reader.series("a").unwrap().len(), 1, "what was removed makes room");
}

fn numbers_that_are_not_finite_do_not_spoil_a_summary(writer: &mut dyn Writer, reader: &dyn Reader) {
    let path = "/3303/0/5700";
    let numbers = [f64::INFINITY, 2.0, f64::NEG_INFINITY, f64::NAN, 4.0, f64::MAX, f64::MAX];
    let numbers = numbers.into_iter().enumerate();
    append(writer, numbers.map(|(at, it)| put_sample("a", path, at as u64, Sample::Float(it))).collect());
    for _ in 0..2 {
        let summary = reader.summary("a", path, 0..6, 100).unwrap();
        assert!(matches!(summary[..], [Summary { count: 3, min: 2.0, max: f64::MAX, .. }]), "{summary:?}");
        let summary = reader.summary("a", path, 5..7, 100).unwrap();
        assert!(matches!(summary[..], [Summary { mean, .. }] if mean == f64::MAX), "{summary:?}");
        let samples = reader.samples("a", path, 0..9, 9).unwrap();
        assert_eq!(samples[0], (0, Sample::Float(f64::INFINITY)));
        assert!(matches!(samples[3], (3, Sample::Float(number)) if number.is_nan()), "{samples:?}");
        maintain(writer, 0);
    }
}

fn maintenance_ends_within_its_budget_and_goes_on_later(writer: &mut dyn Writer, reader: &dyn Reader) {
    let endpoints: Vec<_> = (0..2000).map(|number| format!("device-{number}")).collect();
    let put = |endpoint| put_sample(endpoint, "/3303/0/5700", 7, Sample::Integer(1));
    append(writer, endpoints.iter().map(|endpoint| put(endpoint)).collect());
    let mut steps = 0;
    // A budget of nothing still does one step, so that it ends.
    while writer.maintain(Retention { since: 1_000_000_000 }, Duration::ZERO).unwrap().is_removing {
        steps += 1;
        // Commits go on meanwhile.
        append(writer, vec![put_registration(steps, b"x")]);
    }
    assert!(steps > 3, "{steps} steps");
    maintain(writer, 2_000_000_000);
    assert_eq!(registrations(reader).len() as u64, steps);
    assert_eq!(reader.series("device-0").unwrap(), [""; 0]);
    assert_eq!(reader.series("device-1999").unwrap(), [""; 0]);
}

fn devices_are_kept_by_their_names(writer: &mut dyn Writer, reader: &dyn Reader) {
    let device = |endpoint: &str, description: DeviceDescription| DeviceRow {
        endpoint: endpoint.into(),
        first_contact: 1_700_000_000_000,
        last_contact: 1_700_000_000_001,
        proved: endpoint.len() > 1,
        description,
    };
    let all = || {
        let mut all = Vec::new();
        reader.devices(&mut |row| all.push(row)).unwrap();
        all
    };
    let said = DeviceDescription {
        manufacturer: Some("Ocean \0 works".into()),
        model: Some("buoy-3".into()),
        serial: Some(String::new()),
        firmware: Some("1.4.0".into()),
        hardware: None,
        software: Some("ü".into()),
        read_at: Some(1_700_000_000_002),
    };
    let put = |row: &DeviceRow| Change::Device(DeviceChange::Put(row.clone()));
    let (a, b, ten) = (
        device("a", DeviceDescription::default()),
        device("b-2", said.clone()),
        device("b-10", DeviceDescription::default()),
    );
    commit(writer, vec![put(&b), put(&a), put(&ten)]);
    assert_eq!(all(), [a.clone(), ten.clone(), b]);

    let b = DeviceRow { last_contact: 1_800_000_000_000, ..device("b-2", DeviceDescription::default()) };
    commit(writer, vec![put(&b), Change::Device(DeviceChange::Remove { endpoint: "a".into() })]);
    assert_eq!(all(), [ten, b]);
    commit(writer, vec![Change::Device(DeviceChange::Remove { endpoint: "nobody".into() })]);
}

fn documents_are_kept_by_their_kinds_and_names(writer: &mut dyn Writer, reader: &dyn Reader) {
    use DocumentKind::{CampaignDevice, Group};
    let row = |kind, name: &str, body: &[u8]| DocumentRow {
        kind,
        name: name.into(),
        body: body.into(),
        changed_at: 1_700_000_000_000,
    };
    let add = |row: &DocumentRow| Change::Document(DocumentChange::Add(row.clone()));
    let put = |row: &DocumentRow| Change::Document(DocumentChange::Put(row.clone()));
    let remove = |kind, name: &str| Change::Document(DocumentChange::Remove { kind, name: name.into() });
    let keys = |kind, prefix: &str| {
        let mut keys = Vec::new();
        reader.documents(kind, prefix, &mut |row| keys.push(row.name)).unwrap();
        keys
    };
    let (a, b, z) = (
        row(CampaignDevice, "7/a", b"\0"),
        row(CampaignDevice, "7/b \0", b"b"),
        row(CampaignDevice, "70/a", b""),
    );
    commit(writer, vec![put(&z), put(&b), add(&a), put(&row(Group, "7/a", b"other"))]);
    assert_eq!(keys(CampaignDevice, "7/"), ["7/a", "7/b \0"]);
    assert_eq!(keys(CampaignDevice, ""), ["7/a", "7/b \0", "70/a"]);
    assert_eq!(reader.document(CampaignDevice, "7/b \0").unwrap(), Some(b.clone()));
    assert_eq!(reader.document(Group, "70/a").unwrap(), None);
    let fates = writer.commit(&[vec![add(&row(CampaignDevice, "7/a", b"again"))], vec![put(&a)]]).unwrap();
    assert!(matches!(fates.of(0), Err(Rejection::Conflict(_))), "{fates:?}");
    // The last word of a set counts, whatever came before.
    let anew = row(CampaignDevice, "7/a", b"anew");
    commit(
        writer,
        vec![put(&b), remove(CampaignDevice, "7/a"), add(&anew), remove(CampaignDevice, "7/b \0")],
    );
    commit(writer, vec![put(&z), remove(CampaignDevice, "70/a"), put(&b), remove(Group, "nothing")]);
    assert_eq!(keys(CampaignDevice, ""), ["7/a", "7/b \0"]);
    assert_eq!(reader.document(CampaignDevice, "7/a").unwrap(), Some(anew));
    let many: Vec<_> = (0..3000).map(|n| row(CampaignDevice, &format!("9/{n:05}"), b"x")).collect();
    commit(writer, many.iter().map(put).collect());
    assert_eq!(keys(CampaignDevice, "9/").len(), 3000);
}

fn the_audit_log_is_listed_newest_first(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = |id, principal: &str, action: &str, target: &str| AuditRow {
        id,
        at: id * 1000,
        principal: principal.into(),
        origin: "127.0.0.1".into(),
        action: action.into(),
        target: target.into(),
        detail: String::new(),
        result: "ok".into(),
    };
    let (one, two, three) = (
        row(1, "ada", "credential.add", "a"),
        row(2, "bob", "credential.revoke", "a"),
        row(3, "ada", "credentials", "b"),
    );
    append(writer, vec![Change::Audit(one.clone()), Change::Audit(AuditRow { id: 0, ..two.clone() })]);
    append(writer, vec![Change::Audit(AuditRow { id: 1, ..three.clone() })]);
    maintain(writer, 1_000_000_000);
    let all = Page { before: u64::MAX, limit: 10 };
    let list = |filter: AuditFilter<'_>, page| reader.audit(&filter, page).unwrap();
    let any = AuditFilter::default();
    assert_eq!(list(any, all), [three.clone(), two.clone(), one.clone()]);
    assert_eq!(list(any, Page { before: 3, limit: 1 }), std::slice::from_ref(&two));
    assert_eq!(list(AuditFilter { principal: Some("ada"), ..any }, all), [three, one.clone()]);
    assert_eq!(list(AuditFilter { action: Some("credential"), ..any }, all), [two.clone(), one.clone()]);
    assert_eq!(list(AuditFilter { target: Some("a"), action: Some("credential.add"), ..any }, all), [one]);
}

fn the_audit_log_is_a_chain_of_hashes(writer: &mut dyn Writer, reader: &dyn Reader) {
    let entry = |target: &str, detail: &str| {
        Change::Audit(AuditRow {
            at: 1_700_000_000_123,
            principal: "ada".into(),
            action: "device.forget".into(),
            target: target.into(),
            detail: detail.into(),
            result: "ok".into(),
            ..AuditRow::default()
        })
    };
    assert_eq!(verify_audit(reader, None).unwrap(), AuditReport::default());
    append(writer, vec![entry("a", ""), entry("b", "\u{e9}\u{1f6df}")]);
    let noted = reader.audit_head().unwrap().unwrap();
    // A set that is refused leaves the chain as it is.
    let key = KeyRow { key: "k".into(), digest: vec![1], made: 1, at: 0 };
    append(writer, vec![Change::IdempotencyKey(key.clone())]);
    let fates = writer.commit(&[
        vec![entry("c", "kept")],
        vec![entry("d", "refused"), Change::IdempotencyKey(key)],
        vec![entry("e", "kept\0 and \u{1a} and \0")],
    ]);
    assert!(fates.unwrap().of(1).is_err());
    let report = verify_audit(reader, Some(&noted.hash)).unwrap();
    assert_eq!((report.checked, report.head.last, report.has_expected), (4, 4, true));
    assert_eq!((report.faults, report.without_hash), (vec![], 0));
    assert!(!verify_audit(reader, Some(&[7; 32])).unwrap().has_expected);
    // Both stores have the same hashes.
    let digits: String = noted.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digits, "96a7d4521a371c2f6215faaf6c4694677402c3791315a008701cfff82b48ea2c");
}

fn much_in_one_commit_comes_back(writer: &mut dyn Writer, reader: &dyn Reader) {
    let record = |key: u64| key.to_be_bytes().repeat(64);
    let put = |key| Change::Registration(RecordChange::Put { key, record: record(key).into() });
    commit(writer, (1..3000).map(put).collect());
    let expected: Vec<_> = (1..3000).map(|key| (key, record(key))).collect();
    assert!(registrations(reader) == expected);
}

fn what_is_old_is_removed_and_what_is_open_stays(writer: &mut dyn Writer, reader: &dyn Reader) {
    let (old, new) = (1000, 90_000_000);
    let update = |id, ended, changed_at| {
        let record = UpdateRecord { id, endpoint: "a".into(), ended, record: vec![1] };
        Change::Update { record, changed_at }
    };
    let ended_lately = OperationRow { changed_at: new, ..operation(3, "a", true) };
    commit(
        writer,
        vec![
            put_sample("a", "/1", old, Sample::Integer(1)),
            put_sample("a", "/2", new, Sample::Integer(2)),
            put_sample("a", "/3", old, Sample::Integer(3)),
            put_sample("a", "/3", new, Sample::Integer(4)),
            Change::Operation(operation(1, "a", true)),
            Change::Operation(operation(2, "a", false)),
            Change::Operation(ended_lately),
            update(1, true, old),
            update(2, false, old),
            update(3, true, new),
        ],
    );
    maintain(writer, 10_000_000);
    assert_eq!(reader.series("a").unwrap(), ["/2", "/3"]);
    assert_eq!(reader.samples("a", "/3", 0..u64::MAX, 9).unwrap(), [(new, Sample::Integer(4))]);
    let page = Page { before: u64::MAX, limit: 10 };
    let operations = reader.operations(&OperationFilter::default(), page).unwrap();
    assert_eq!(operations.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 2]);
    let updates = reader.updates(None, page).unwrap();
    assert_eq!(updates.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 2]);
}

fn firmware_is_listed_newest_first(writer: &mut dyn Writer, reader: &dyn Reader) {
    let image = |digest: &str, uploaded_at| FirmwareRow {
        digest: digest.into(),
        name: "buoy".into(),
        version: "1.1.0".into(),
        project: "demo".into(),
        size: 1 << 20,
        uploaded_at,
        signature: Some(vec![7; 512]),
    };
    let (old, new) = (image("aa", 1), image("bb", 2));
    let put = |image: &FirmwareRow| Change::Firmware(FirmwareChange::Put(image.clone()));
    commit(writer, vec![put(&old), put(&new)]);
    assert_eq!(reader.firmware().unwrap(), [new.clone(), old]);
    commit(writer, vec![Change::Firmware(FirmwareChange::Remove { digest: "aa".into() })]);
    assert_eq!(reader.firmware().unwrap(), [new]);
}

fn updates_are_found_while_they_are_open(writer: &mut dyn Writer, reader: &dyn Reader) {
    let update =
        |id, endpoint: &str, ended| UpdateRecord { id, endpoint: endpoint.into(), ended, record: vec![1] };
    let put = |record| Change::Update { record, changed_at: 1 };
    commit(writer, vec![put(update(1, "a", true)), put(update(2, "b", false))]);
    assert_eq!(reader.open_updates().unwrap(), [update(2, "b", false)]);
    let all = Page { before: u64::MAX, limit: 10 };
    assert_eq!(reader.updates(None, all).unwrap(), [update(2, "b", false), update(1, "a", true)]);
    assert_eq!(reader.updates(Some("a"), all).unwrap(), [update(1, "a", true)]);
}

fn a_backup_holds_what_was_committed(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = credential(1, "a", CredentialKind::Psk, b"identity of the backup");
    let session = b"a session that goes on";
    commit(writer, vec![put_registration(1, b"x"), put_session(1, session), put_credential(&row)]);
    append(writer, vec![put_session(1, session), put_session(2, session)]);
    let folder = std::env::temp_dir().join(format!("buoy-contract-{}-{:p}", std::process::id(), reader));
    reader.backup(&folder).unwrap();
    let copy = std::fs::read(&folder).unwrap();
    let has = |text: &[u8]| copy.windows(text.len()).any(|bytes| bytes == text);
    assert!(has(&row.identity) && !has(session));
    std::fs::remove_file(folder).unwrap();
}
