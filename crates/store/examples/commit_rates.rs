//! How many registrations and values a second each store commits, by the number of sets in a commit.
//!
//! `cargo run --release --package buoy-store --all-features --example commit_rates`
#![cfg(unix)]

use std::time::{Duration, Instant};

use buoy_store::postgres::Postgres;
use buoy_store::postgres::test_server::{Durability, Network, TestServer};
use buoy_store::sqlite::Sqlite;
use buoy_store::{Change, ChangeSet, NewSample, RecordChange, Retention, Sample, Store};

/// For how long each is measured.
const TIME: Duration = Duration::from_secs(2);
const GROUPS: [usize; 3] = [1, 64, 256];
const DEVICES: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let sqlite = Sqlite::open(&folder.path().join("buoy.db"))?;
    let server = TestServer::start(Durability::Real, Network::None)?;
    let postgres = Postgres::open(&server.database("rates"))?;
    println!("| a second | sets in a commit | SQLite | PostgreSQL |\n|---|---|---|---|");
    for (what, set) in [("registrations", registration as fn(u64) -> ChangeSet<'static>), ("values", value)] {
        for (first, group) in (0..).step_by(10_000_000).zip(GROUPS) {
            let (one, other) = (rate(&sqlite, first, group, set)?, rate(&postgres, first, group, set)?);
            println!("| {what} | {group} | {one:.0} | {other:.0} |");
        }
    }
    Ok(())
}

/// A new device, with a record of the usual length.
fn registration(number: u64) -> ChangeSet<'static> {
    vec![Change::Registration(RecordChange::Put { key: number, record: vec![number as u8; 200].into() })]
}

/// A value of one of many devices.
fn value(number: u64) -> ChangeSet<'static> {
    vec![Change::Sample(NewSample {
        endpoint: format!("device-{:06}", number % DEVICES).into(),
        path: buoy_lwm2m::path::Path::resource(3303, 0, 5700),
        at: number / DEVICES * 1000,
        value: Sample::Float(number as f64),
    })]
}

/// Sets a second, maintenance included.
fn rate(
    store: &dyn Store,
    first: u64,
    group: usize,
    set: fn(u64) -> ChangeSet<'static>,
) -> Result<f64, buoy_store::StoreError> {
    let mut writer = store.writer()?;
    let (began, mut number) = (Instant::now(), first);
    while began.elapsed() < TIME {
        let sets: Vec<_> = (number..).take(group).map(set).collect();
        writer.commit(&sets)?;
        number += group as u64;
    }
    while writer.maintain(Retention { since: 0 }, Duration::from_secs(1))?.unsorted > 0 {}
    Ok((number - first) as f64 / began.elapsed().as_secs_f64())
}
