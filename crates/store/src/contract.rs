//! What every store must do, whatever it is built on.

use std::any::Any;

use buoy_fleet::update::UpdateRecord;

use crate::{
    Batch, BootstrapClaimRow, BootstrapConfigRow, CredentialFilter, CredentialKind, CredentialRow,
    CredentialState, FirmwareRow, KeyRow, OperationFilter, OperationRow, Page, Purpose, Reader, Sample,
    StoreError, Summary, Writer,
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
        a_batch_that_fails_leaves_nothing,
        operations_are_found_by_device_and_state,
        a_series_is_cut_by_time_and_summed_up,
        what_is_old_is_pruned_and_what_is_open_stays,
        firmware_is_listed_newest_first,
        updates_are_found_while_they_are_open,
        samples_outlive_what_happens_before_they_are_settled,
        a_sample_outlives_a_prune_in_the_same_commit,
        much_in_one_commit_comes_back,
        an_idempotency_key_is_found_until_it_is_pruned,
        sessions_come_back_by_ascending_id,
        credentials_are_listed_newest_first,
        an_identity_has_one_credential,
        bootstrap_configurations_and_claims_are_kept_by_their_names,
        a_backup_holds_what_was_committed,
    ] {
        let (mut writer, reader, _kept) = make();
        case(&mut *writer, &*reader);
    }
}

/// Commits, and puts everything where readers look for it.
fn commit(writer: &mut dyn Writer, mut apply: impl FnMut(&mut dyn Batch) -> Result<(), StoreError>) {
    writer.commit(&mut apply).unwrap();
    while writer.settle().unwrap() > 0 {}
    assert_eq!(writer.unsettled(), 0);
}

fn resource(path: &str) -> buoy_lwm2m::path::Path {
    path.parse().unwrap()
}

fn registrations(reader: &dyn Reader) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    reader.registrations(&mut |key, record| all.push((key, record.to_vec()))).unwrap();
    all
}

/// Keys come, change and go over many batches, of which only some are settled before the next.
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
        let apply = &mut |batch: &mut dyn Batch| {
            changes.iter().try_for_each(|(key, what, record)| match what {
                0 => batch.remove_registration(*key),
                _ => batch.put_registration(*key, &record.to_be_bytes()),
            })
        };
        writer.commit(apply).unwrap();
        if next(10) == 0 {
            commit(writer, |_| Ok(()));
            assert_eq!(registrations(reader), expected.clone().into_iter().collect::<Vec<_>>());
        }
    }
    commit(writer, |_| Ok(()));
    assert_eq!(registrations(reader), expected.into_iter().collect::<Vec<_>>());
}

fn an_idempotency_key_is_found_until_it_is_pruned(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = KeyRow { key: "operation a".into(), digest: vec![1, 2], made: 7, at: 1000 };
    commit(writer, |batch| batch.put_idempotency_key(&row));
    assert_eq!(reader.idempotency_key("operation a").unwrap().as_ref(), Some(&row));
    assert_eq!(reader.idempotency_key("operation b").unwrap(), None);
    // The operation itself may never have been saved: its number is taken all the same.
    assert_eq!(reader.last_operation().unwrap(), 7);
    commit(writer, |batch| batch.prune(1001));
    assert_eq!(reader.idempotency_key("operation a").unwrap(), None);
}

fn sessions_come_back_by_ascending_id(writer: &mut dyn Writer, reader: &dyn Reader) {
    commit(writer, |batch| {
        batch.put_session(u64::from(u32::MAX) << 8, b"large")?;
        batch.put_session(2, b"two")?;
        batch.put_session(5, b"five")
    });
    commit(writer, |batch| {
        batch.put_session(2, b"zwei")?;
        batch.remove_session(5)?;
        batch.remove_session(77)
    });
    let mut all = Vec::new();
    reader.sessions(&mut |id, record| all.push((id, record.to_vec()))).unwrap();
    assert_eq!(all, [(2, b"zwei".to_vec()), (u64::from(u32::MAX) << 8, b"large".to_vec())]);
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
    commit(writer, |batch| rows.iter().try_for_each(|row| batch.put_credential(row)));
    (third.state, third.sealed) = (CredentialState::Revoked, Vec::new());
    commit(writer, |batch| {
        batch.set_credential_state(3, CredentialState::Revoked)?;
        batch.set_credential_state(1, CredentialState::Active)?;
        batch.remove_credential(4)
    });
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
    commit(writer, |batch| batch.put_credential(&first));
    let other = credential(2, "b", CredentialKind::Psk, b"same");
    assert!(writer.commit(&mut |batch| batch.put_credential(&other)).is_err());
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
    commit(writer, |batch| {
        batch.put_bootstrap_config(&config("buoy-*", 1))?;
        batch.put_bootstrap_config(&config("a", 1))?;
        batch.put_bootstrap_claim(&claim("b", None))?;
        batch.put_bootstrap_claim(&claim("a", None))
    });
    commit(writer, |batch| {
        batch.put_bootstrap_config(&config("buoy-*", 2))?;
        batch.remove_bootstrap_config("a")?;
        batch.put_bootstrap_claim(&claim("a", Some(9)))?;
        batch.remove_bootstrap_claim("b")
    });
    assert_eq!(reader.bootstrap_configs().unwrap(), [config("buoy-*", 2)]);
    assert_eq!(reader.bootstrap_claims().unwrap(), [claim("a", Some(9))]);
}

fn registrations_come_back_by_ascending_key(writer: &mut dyn Writer, reader: &dyn Reader) {
    commit(writer, |batch| {
        batch.put_registration(9, b"nine")?;
        batch.put_registration(2, b"two")?;
        batch.put_registration(5, b"five")
    });
    commit(writer, |batch| {
        batch.put_registration(2, b"zwei")?;
        batch.remove_registration(5)?;
        batch.remove_registration(77)
    });
    assert_eq!(registrations(reader), [(2, b"zwei".to_vec()), (9, b"nine".to_vec())]);
}

fn a_batch_that_fails_leaves_nothing(writer: &mut dyn Writer, reader: &dyn Reader) {
    let result = writer.commit(&mut |batch| {
        batch.put_registration(1, b"x")?;
        Err(StoreError::DiskFull)
    });
    assert!(matches!(result, Err(StoreError::DiskFull)));
    assert_eq!(registrations(reader), []);
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
    commit(writer, |batch| rows.iter().try_for_each(|row| batch.put_operation(row)));
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
    commit(writer, |batch| {
        for at in 0..10 {
            batch.put_sample("a", resource(path), at * 1000, Sample::Float(at as f64))?;
        }
        batch.put_sample("a", resource(path), 3000, Sample::Integer(30))?;
        batch.put_sample("a", resource("/3/0/0"), 5, Sample::Text("maker".into()))?;
        batch.put_sample("b", resource(path), 5, Sample::Opaque(vec![1, 2]))
    });
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
}

fn samples_outlive_what_happens_before_they_are_settled(writer: &mut dyn Writer, reader: &dyn Reader) {
    let (one, two) = (resource("/3303/0/5700"), resource("/3303/0/5701"));
    let mut put =
        |at, value| writer.commit(&mut |batch| batch.put_sample("a", one, at, Sample::Integer(value)));
    put(7000, 1).unwrap();
    put(7000, 2).unwrap();
    let failed = writer.commit(&mut |batch| {
        batch.put_sample("a", two, 7000, Sample::Integer(3))?;
        Err(StoreError::DiskFull)
    });
    assert!(failed.is_err());
    // A series whose beginning was rolled back begins anew.
    writer.commit(&mut |batch| batch.put_sample("a", two, 7001, Sample::Integer(4))).unwrap();
    writer.commit(&mut |batch| batch.prune(5000)).unwrap();
    while writer.settle().unwrap() > 0 {}
    assert_eq!(reader.samples("a", "/3303/0/5700", 0..9000, 9).unwrap(), [(7000, Sample::Integer(2))]);
    assert_eq!(reader.samples("a", "/3303/0/5701", 0..9000, 9).unwrap(), [(7001, Sample::Integer(4))]);
}

fn a_sample_outlives_a_prune_in_the_same_commit(writer: &mut dyn Writer, reader: &dyn Reader) {
    let (one, two) = (resource("/3303/0/5700"), resource("/3303/0/5701"));
    commit(writer, |batch| batch.put_sample("a", one, 1000, Sample::Integer(1)));
    commit(writer, |batch| {
        // Of one series all that is in its place is old; the other begins.
        batch.put_sample("a", one, 9000, Sample::Integer(2))?;
        batch.put_sample("a", two, 9000, Sample::Integer(3))?;
        batch.prune(5000)
    });
    commit(writer, |batch| batch.put_sample("b", one, 9000, Sample::Integer(4)));
    assert_eq!(reader.samples("a", "/3303/0/5700", 0..9999, 9).unwrap(), [(9000, Sample::Integer(2))]);
    assert_eq!(reader.samples("a", "/3303/0/5701", 0..9999, 9).unwrap(), [(9000, Sample::Integer(3))]);
    assert_eq!(reader.samples("b", "/3303/0/5700", 0..9999, 9).unwrap(), [(9000, Sample::Integer(4))]);
}

fn much_in_one_commit_comes_back(writer: &mut dyn Writer, reader: &dyn Reader) {
    let record = |key: u64| key.to_be_bytes().repeat(64);
    commit(writer, |batch| (1..3000).try_for_each(|key| batch.put_registration(key, &record(key))));
    let expected: Vec<_> = (1..3000).map(|key| (key, record(key))).collect();
    assert!(registrations(reader) == expected);
}

fn what_is_old_is_pruned_and_what_is_open_stays(writer: &mut dyn Writer, reader: &dyn Reader) {
    commit(writer, |batch| {
        batch.put_sample("a", resource("/1"), 1000, Sample::Integer(1))?;
        batch.put_sample("a", resource("/2"), 9000, Sample::Integer(2))?;
        batch.put_operation(&operation(1, "a", true))?;
        batch.put_operation(&operation(2, "a", false))
    });
    commit(writer, |batch| batch.prune(5000));
    assert_eq!(reader.series("a").unwrap(), ["/2"]);
    assert_eq!(reader.operation(1).unwrap(), None);
    assert!(reader.operation(2).unwrap().is_some());
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
    commit(writer, |batch| {
        batch.put_firmware(&old)?;
        batch.put_firmware(&new)
    });
    assert_eq!(reader.firmware().unwrap(), [new.clone(), old]);
    commit(writer, |batch| batch.remove_firmware("aa"));
    assert_eq!(reader.firmware().unwrap(), [new]);
}

fn updates_are_found_while_they_are_open(writer: &mut dyn Writer, reader: &dyn Reader) {
    let update =
        |id, endpoint: &str, ended| UpdateRecord { id, endpoint: endpoint.into(), ended, record: vec![1] };
    commit(writer, |batch| {
        batch.put_update(&update(1, "a", true))?;
        batch.put_update(&update(2, "b", false))
    });
    assert_eq!(reader.open_updates().unwrap(), [update(2, "b", false)]);
    let all = Page { before: u64::MAX, limit: 10 };
    assert_eq!(reader.updates(None, all).unwrap(), [update(2, "b", false), update(1, "a", true)]);
    assert_eq!(reader.updates(Some("a"), all).unwrap(), [update(1, "a", true)]);
}

fn a_backup_holds_what_was_committed(writer: &mut dyn Writer, reader: &dyn Reader) {
    let row = credential(1, "a", CredentialKind::Psk, b"identity of the backup");
    commit(writer, |batch| {
        batch.put_registration(1, b"x")?;
        batch.put_session(1, b"a session that goes on")?;
        batch.put_credential(&row)
    });
    let unsettled = &mut |batch: &mut dyn Batch| {
        batch.put_session(1, b"a session that goes on")?;
        batch.put_session(2, b"a session that goes on")
    };
    writer.commit(unsettled).unwrap();
    let folder = std::env::temp_dir().join(format!("buoy-contract-{}-{:p}", std::process::id(), reader));
    reader.backup(&folder).unwrap();
    let copy = std::fs::read(&folder).unwrap();
    let has = |text: &[u8]| copy.windows(text.len()).any(|bytes| bytes == text);
    assert!(has(&row.identity) && !has(b"a session that goes on"));
    std::fs::remove_file(folder).unwrap();
}
