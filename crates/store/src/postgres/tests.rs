//! What the contract does not say: connections that break, writers beside each other, and moves.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::link::Step;
use super::test_server::TestServer;
use super::*;
use crate::sqlite::Sqlite;
use crate::{
    AuditFilter, AuditRow, Change, ChangeSet, KeyRow, MoveError, MovedTo, NewSample, Page, RecordChange,
    Retention, Sample, move_all,
};

/// The URL of a database of its own, if PostgreSQL is installed.
fn new_database() -> Option<String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Some(TestServer::shared()?.database(&format!("store_{number}")))
}

/// A connection past all that the store does.
fn administrator(url: &str) -> (Driver, Link) {
    let driver = Driver::start("administrator").unwrap();
    let link = Link::connect(&driver, &Place::parse(url).unwrap()).unwrap();
    link.batch("SET default_transaction_read_only = off").unwrap();
    (driver, link)
}

#[test]
fn it_keeps_the_contract() {
    if TestServer::shared().is_none() {
        return;
    }
    crate::contract::check(|| {
        let store = Postgres::open(&new_database().unwrap()).unwrap();
        let (writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
        (Box::new(writer), Box::new(reader), Box::new(store))
    });
}

#[test]
fn a_schema_is_made_once_and_one_of_a_later_program_is_left_alone() {
    let Some(url) = new_database() else { return };
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..4).map(|_| scope.spawn(|| Postgres::open(&url))).collect();
        opened.into_iter().for_each(|opened| drop(opened.join().unwrap().unwrap()));
    });
    Postgres::open(&url).unwrap();
    let (_driver, link) = administrator(&url);
    link.batch("UPDATE schema_version SET version = 99").unwrap();
    assert!(matches!(Postgres::open(&url), Err(StoreError::TooNew { found: 99, .. })));
    link.batch("UPDATE schema_version SET version = 0").unwrap();
    assert!(matches!(Postgres::open_to_read(&url), Err(StoreError::TooOld { found: 0, .. })));
}

#[test]
fn a_url_is_shown_without_its_password_and_a_server_that_is_not_there_is_named() {
    let error = Postgres::open("postgres://buoy:secret@127.0.0.1:1/fleet").unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }));
    let error = error.to_string();
    assert!(error.contains("postgres://buoy@127.0.0.1:1/fleet") && !error.contains("secret"), "{error}");
}

#[test]
fn a_url_that_is_none_is_refused_with_the_reason_and_without_its_password() {
    for (url, reason) in [
        ("postgres://buoy:secret/fleet", "`port`"),
        ("postgres://buoy:sec@ret@db/fleet", "is written %40"),
        ("postgres://db/fleet?password=sec@ret", "is written %40"),
        ("postgres:///fleet?password=secret", "names no host"),
        ("postgres://buoy:secret@db/fleet?sslmode=allow", "verify-full"),
        ("postgres://buoy:secret@db/fleet?sslmode=verify-ca", "asks for sslrootcert=FILE"),
        (
            "postgres://buoy:secret@db/fleet?sslmode=require&sslrootcert=system",
            "asks for sslmode=verify-full",
        ),
        ("postgres://buoy:secret@db/fleet?sslrootcert=/nowhere/root.pem", "/nowhere/root.pem"),
    ] {
        let error = Postgres::open(url).unwrap_err();
        assert!(matches!(error, StoreError::NoUrl(_) | StoreError::NoWayIn { .. }), "{url}: {error}");
        let error = error.to_string();
        assert!(
            error.contains(reason) && !error.contains("sec") && !error.contains("ret@"),
            "{url}: {error}"
        );
    }
}

fn marked(name: &str) -> ChangeSet<'static> {
    vec![
        Change::Registration(RecordChange::Put { key: 1, record: name.as_bytes().to_vec().into() }),
        Change::IdempotencyKey(KeyRow { key: name.into(), digest: vec![1], made: 1, at: 1 }),
        Change::Audit(AuditRow { action: "test".into(), target: name.into(), ..AuditRow::default() }),
        Change::Sample(NewSample {
            endpoint: name.to_owned().into(),
            path: "/3/0/9".parse().unwrap(),
            at: 7,
            value: Sample::Integer(1),
        }),
    ]
}

/// How often a set of this mark was committed.
fn times(reader: &dyn Reader, name: &str) -> usize {
    let filter = AuditFilter { target: Some(name), ..AuditFilter::default() };
    let rows = reader.audit(&filter, Page { before: u64::MAX, limit: 10 }).unwrap().len();
    let values = reader.samples(name, "/3/0/9", 0..9, 9).unwrap().len();
    assert_eq!(rows, values, "a set is kept whole or not at all");
    rows
}

#[test]
fn a_second_writer_is_refused_while_the_first_one_lives() {
    let Some(url) = new_database() else { return };
    let store = Postgres::open(&url).unwrap();
    let first = store.writer().unwrap();
    let error = store.writer().unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }) && !error.is_final(), "{error}");
    assert!(matches!(store.rows(), Err(StoreError::InUse { .. })), "nor is the store moved under it");
    drop(first);
    store.writer().unwrap();
}

#[test]
fn a_writer_whose_place_was_taken_commits_nothing_and_ends() {
    let Some(url) = new_database() else { return };
    let store = Postgres::open(&url).unwrap();
    let (mut writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
    writer.commit(&[marked("before")]).unwrap();
    let (_driver, link) = administrator(&url);
    // As another writer does once the lock was lost with the connection of the first.
    link.batch("UPDATE writer SET incarnation = gen_random_uuid(), last_batch = 0").unwrap();
    for _ in 0..2 {
        let error = writer.commit(&[marked("after")]).unwrap_err();
        assert!(matches!(error, StoreError::TakenOver { .. }) && error.is_final(), "{error}");
    }
    assert!(writer.maintain(Retention { since: 1 << 40 }, Duration::ZERO).is_err());
    assert_eq!((times(&reader, "before"), times(&reader, "after")), (1, 0));
}

#[test]
fn a_database_that_forgot_commits_ends_the_server() {
    let Some(url) = new_database() else { return };
    let store = Postgres::open(&url).unwrap();
    let mut writer = store.writer().unwrap();
    for name in ["one", "two", "three"] {
        writer.commit(&[marked(name)]).unwrap();
    }
    let (_driver, link) = administrator(&url);
    link.batch("UPDATE writer SET last_batch = 1").unwrap();
    let error = writer.commit(&[marked("four")]).unwrap_err();
    assert!(matches!(error, StoreError::CommitsLost { committed: 3, found: 1, .. }), "{error}");
    assert!(error.is_final() && error.to_string().contains("lost commits"));
}

#[test]
fn a_statement_whose_begin_failed_writes_nothing() {
    let Some(url) = new_database() else { return };
    Postgres::open(&url).unwrap();
    let driver = Driver::start("test").unwrap();
    let mut link = Link::connect(&driver, &Place::parse(&url).unwrap()).unwrap();
    let steps = [Step::plain("DELETE FROM writer"), Step::plain("COMMIT")];
    assert!(matches!(link.flight(&steps), Err(Failure::Store(StoreError::ReadOnly))));
    assert_eq!(link.query("SELECT 1 FROM writer", &[]).unwrap().len(), 1);
}

#[test]
fn a_session_that_the_administrator_ends_is_made_anew() {
    let Some(url) = new_database() else { return };
    let store = Postgres::open(&url).unwrap();
    let (mut writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
    let (_driver, link) = administrator(&url);
    for name in ["one", "two", "three"] {
        link.batch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
        assert_eq!(writer.commit(&[marked(name)]).unwrap().of(0), Ok(()));
        assert_eq!(times(&reader, name), 1);
        while writer.maintain(Retention { since: 0 }, Duration::ZERO).unwrap().is_removing {}
    }
}

/// Stands between a store and its server, and cuts connections.
struct Cutter {
    folder: tempfile::TempDir,
    /// Bytes that still pass to the server, and from it.
    left: Arc<[AtomicI64; 2]>,
}

const TO_SERVER: usize = 0;
const FROM_SERVER: usize = 1;

impl Cutter {
    fn start(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let target = server.folder().join(".s.PGSQL.5432");
        let left = Arc::new([AtomicI64::new(i64::MAX), AtomicI64::new(i64::MAX)]);
        let counts = left.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&target).unwrap());
                for (direction, from, to) in [(TO_SERVER, &client, &server), (FROM_SERVER, &server, &client)]
                {
                    let (from, to, left) =
                        (from.try_clone().unwrap(), to.try_clone().unwrap(), counts.clone());
                    std::thread::spawn(move || pass(from, to, &left[direction]));
                }
            }
        });
        Self { folder, left }
    }

    fn url(&self, url: &str) -> String {
        let (database, _) = url.split_once("&host=").unwrap();
        format!("{database}&host={}", self.folder.path().display())
    }
}

/// Passes bytes on until none may pass any more: then the connection ends in both directions, and others may come.
fn pass(mut from: UnixStream, mut to: UnixStream, left: &AtomicI64) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let before = left.fetch_sub(length as i64, Ordering::SeqCst);
        let passing = usize::try_from(before.max(0)).unwrap().min(length);
        if to.write_all(&buffer[..passing]).is_err() || passing < length {
            left.store(i64::MAX, Ordering::SeqCst);
            break;
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_commit_whose_connection_breaks_at_any_byte_is_made_exactly_once() {
    let Some(url) = new_database() else { return };
    let cutter = Cutter::start(TestServer::shared().unwrap());
    let store = Postgres::open(&cutter.url(&url)).unwrap();
    let mut writer = store.writer().unwrap();
    let reader = Postgres::open(&url).unwrap().reader().unwrap();
    writer.commit(&[marked("first")]).unwrap();
    let mut commits = 0;
    for direction in [TO_SERVER, FROM_SERVER] {
        for bytes in (0..).step_by(29) {
            let name = format!("cut {direction} after {bytes}");
            cutter.left[direction].store(bytes, Ordering::SeqCst);
            // The second set is refused: its name has been used.
            let sets = [marked(&name), marked("first")];
            let fates = writer.commit(&sets).unwrap();
            assert!(fates.of(0).is_ok() && fates.of(1).is_err(), "{name}: {fates:?}");
            assert_eq!(times(&reader, &name), 1, "{name}");
            commits += 1;
            if cutter.left[direction].load(Ordering::SeqCst) < i64::MAX / 2 {
                // All of it passed.
                break;
            }
        }
        cutter.left[direction].store(i64::MAX, Ordering::SeqCst);
    }
    assert!(commits > 50, "{commits}");
    assert_eq!(times(&reader, "first"), 1);
}

/// Fills a store with some of everything.
fn fill(store: &dyn Store) {
    let mut writer = store.writer().unwrap();
    let values = [
        Sample::Float(f64::NAN),
        Sample::Float(f64::NEG_INFINITY),
        Sample::Float(-0.0),
        Sample::Float(0.1),
        Sample::Integer(i64::MIN),
        Sample::Text("ü\0".into()),
        Sample::Text(String::new()),
        Sample::Opaque(vec![0, 255]),
    ];
    let mut set: ChangeSet<'_> = (0..5000u64)
        .map(|key| Change::Registration(RecordChange::Put { key, record: vec![key as u8; 20].into() }))
        .collect();
    set.push(Change::Session(RecordChange::Put { key: 3, record: b"a session".into() }));
    for (at, value) in values.into_iter().enumerate() {
        let (endpoint, path) = ("a\0b".into(), "/3/0/9".parse().unwrap());
        set.push(Change::Sample(NewSample { endpoint, path, at: at as u64, value }));
    }
    let fates = writer.commit(&[set, marked("fill")]).unwrap();
    assert!(fates.rejected.is_empty(), "{fates:?}");
}

fn sessions(store: &dyn Store) -> usize {
    let mut count = 0;
    store.reader().unwrap().sessions(&mut |_, _| count += 1).unwrap();
    count
}

#[test]
fn a_store_moves_to_postgresql_and_back_with_all_it_has() {
    let (Some(url), folder) = (new_database(), tempfile::tempdir().unwrap()) else { return };
    let file = Sqlite::open(&folder.path().join("one.db")).unwrap();
    fill(&file);
    let database = Postgres::open(&url).unwrap();
    let note = MovedTo { target: "a database".into(), at: 7 };
    let moved = move_all(&mut file.rows().unwrap(), &mut database.rows().unwrap(), &note).unwrap();
    assert!(moved.iter().any(|it| (it.table, it.rows) == ("registration", 5000)), "{moved:?}");
    assert!(moved.iter().any(|it| (it.table, it.rows) == ("sample", 9)), "{moved:?}");
    assert_eq!((sessions(&file), sessions(&database)), (0, 1), "sessions are in one place");
    let notes = || [file.reader().unwrap().moved(), database.reader().unwrap().moved()].map(Result::unwrap);
    assert_eq!(notes(), [Some(note.clone()), None]);
    let again = move_all(&mut file.rows().unwrap(), &mut database.rows().unwrap(), &note);
    assert!(matches!(again, Err(MoveError::NotEmpty { table: "registration" })), "{again:?}");

    // What comes next does not get numbers that are used.
    database.writer().unwrap().commit(&[marked("after")]).unwrap();
    let back = Sqlite::open(&folder.path().join("two.db")).unwrap();
    move_all(&mut database.rows().unwrap(), &mut back.rows().unwrap(), &note).unwrap();
    assert_eq!(notes(), [Some(note.clone()), Some(note)]);
    let reader = back.reader().unwrap();
    assert_eq!((times(&reader, "fill"), times(&reader, "after")), (1, 1));
    let values = reader.samples("a\0b", "/3/0/9", 0..99, 99).unwrap();
    assert_eq!(
        values[5..],
        [
            (5, Sample::Text("ü\0".into())),
            (6, Sample::Text(String::new())),
            (7, Sample::Opaque(vec![0, 255]))
        ]
    );
    assert!(matches!(values[0].1, Sample::Float(number) if number.is_nan()));
    assert_eq!(values[4].1, Sample::Integer(i64::MIN));
}

#[test]
fn a_device_whose_name_or_text_has_a_null_is_stored_like_others() {
    let Some(url) = new_database() else { return };
    let store = Postgres::open(&url).unwrap();
    fill(&store);
    let reader = store.reader().unwrap();
    assert_eq!(reader.series("a\0b").unwrap(), ["/3/0/9"]);
    let values = reader.samples("a\0b", "/3/0/9", 1..6, 99).unwrap();
    assert_eq!(values[0].1, Sample::Float(f64::NEG_INFINITY));
    assert_eq!(values[4].1, Sample::Text("ü\0".into()));
}
