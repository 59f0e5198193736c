//! A data folder of each earlier schema starts, and what was in it is there.

mod common;

use buoy_api::{AuditEntry, Page, Sample};
use common::{Server, Workshop};
use rusqlite::Connection;

/// The steps of the schema, in their order: what a server of version N had made are the first N.
const STEPS: [&str; 10] = [
    include_str!("../../store/src/schema/1.sql"),
    include_str!("../../store/src/schema/2.sql"),
    include_str!("../../store/src/schema/3.sql"),
    include_str!("../../store/src/schema/4.sql"),
    include_str!("../../store/src/schema/5.sql"),
    include_str!("../../store/src/schema/6.sql"),
    include_str!("../../store/src/schema/7.sql"),
    include_str!("../../store/src/schema/8.sql"),
    include_str!("../../store/src/schema/9.sql"),
    include_str!("../../store/src/schema/10.sql"),
];

/// The version from which on there is an audit log, and that of the inventory.
const AUDIT: usize = 6;
const DEVICES: usize = 7;

#[test]
fn a_data_folder_of_each_earlier_schema_starts_with_what_was_in_it() {
    let workshop = Workshop::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    for version in 1..=STEPS.len() {
        let data = workshop.path(&format!("data-{version}"));
        std::fs::create_dir_all(&data).unwrap();
        make(&data.join("buoy.db"), version, now - 1000);

        let server = Server::start(&data);
        let client = server.client();
        let page: Page<Sample> = client.get("/api/v1/devices/buoy-1/series/3303/0/5700").unwrap();
        assert_eq!(page.items.len(), 1, "version {version}");
        assert_eq!((page.items[0].at as i64, page.items[0].value.as_f64()), (now - 1000, Some(21.5)));
        if version >= AUDIT {
            let page: Page<AuditEntry> = client.get("/api/v1/audit?action=test.made").unwrap();
            assert_eq!(page.items.len(), 1, "version {version}");
        }
        if version >= DEVICES {
            let device = client.device("buoy-1").unwrap();
            assert_eq!(device.model.as_deref(), Some("buoy-3"), "version {version}");
        }
        // It takes what is new, too.
        server.says(&["credentials", "add", "buoy-2"]);
        server.says(&["group", "set", "north"]);
    }
}

/// This list names each file of the schema.
#[test]
fn every_version_of_the_schema_is_tried() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/src/schema");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), STEPS.len(), "add the new step to this test");
}

/// A database as a program of that version left it.
fn make(path: &std::path::Path, version: usize, at: i64) {
    let database = Connection::open(path).unwrap();
    for step in &STEPS[..version] {
        database.execute_batch(step).unwrap();
    }
    database.pragma_update(None, "user_version", version as i64).unwrap();
    database.execute("INSERT INTO series VALUES (1, 'buoy-1', '/3303/0/5700')", []).unwrap();
    database.execute("INSERT INTO sample VALUES (1, ?1, 21.5)", [at]).unwrap();
    if version >= AUDIT {
        let row = "INSERT INTO audit (at, principal, origin, action, target, detail, result) \
            VALUES (?1, 'local', '', 'test.made', 'buoy-1', '', 'ok')";
        database.execute(row, [at]).unwrap();
    }
    if version >= DEVICES {
        let row = "INSERT INTO device (endpoint, first_contact, last_contact, proved, model) VALUES ('buoy-1', ?1, ?1, 0, 'buoy-3')";
        database.execute(row, [at]).unwrap();
    }
}
