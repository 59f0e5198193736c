//! The REST dialect of Leshan, route by route and field by field, as scripts see it.

mod common;

use common::{Device, Server, Workshop, wait_until};
use serde_json::{Value, json};

struct World {
    server: Server,
    _workshop: Workshop,
    _device: Device,
}

impl World {
    fn new(extra: &[&str]) -> Self {
        let workshop = Workshop::new();
        let factory = workshop.release("1.0.0", "good");
        let server = Server::start_with(&workshop.path("data"), &["--awake-time", "1"]);
        let device = workshop.device(&server, "buoy-1", &factory, extra);
        Self { server, _workshop: workshop, _device: device }
    }

    /// Status and body; the body as JSON if it is that, else as text.
    fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/{path}", self.server.http))
            .header("content-type", kind)
            .body(body.to_owned())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (response.status().as_u16(), body)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, "application/json", "")
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.call(method, path, "application/json", &body.to_string())
    }
}

/// A device's answer without content.
fn status(status: &str) -> (u16, Value) {
    (200, json!({"status": status, "valid": true, "success": true, "failure": false}))
}

fn content(content: &Value) -> (u16, Value) {
    let mut answer = status("CONTENT(205)");
    answer.1["content"] = content.clone();
    answer
}

#[test]
fn registrations_have_the_documented_fields() {
    let world = World::new(&[]);
    let (code, all) = world.get("clients");
    assert_eq!((code, all.as_array().unwrap().len()), (200, 1));
    let (code, one) = world.get("clients/buoy-1");
    assert_eq!((code, &one), (200, &all[0]));
    for (field, expected) in [
        ("endpoint", json!("buoy-1")),
        ("lwM2mVersion", json!("1.1")),
        ("lifetime", json!(300)),
        ("bindingMode", json!("U")),
        ("rootPath", json!("/")),
        ("secure", json!(false)),
        ("additionalRegistrationAttributes", json!({})),
        ("queuemode", json!(false)),
    ] {
        assert_eq!(one[field], expected, "{field}");
    }
    for field in ["registrationDate", "lastUpdate"] {
        assert!(one[field].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{field}");
    }
    assert!(one["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!one["registrationId"].as_str().unwrap().is_empty());
    assert_eq!(one["availableInstances"]["3"], json!([0]));
    let links = one["objectLinks"].as_array().unwrap();
    assert!(links.iter().any(|link| link["url"] == "/3/0" && link["attributes"] == json!({})), "{links:?}");
    assert_eq!(one.get("sleeping"), None, "only in queue mode");
    assert_eq!(world.get("clients/nobody"), (400, json!("No registered client with id 'nobody'")));
}

#[test]
fn values_are_read_and_written() {
    let world = World::new(&[]);
    let maker = json!({"kind": "singleResource", "id": 0, "type": "STRING", "value": "Buoy"});
    for format in
        ["", "?format=TEXT", "?format=tlv", "?format=SENML_JSON", "?format=SENML_CBOR", "?format=JSON"]
    {
        assert_eq!(world.get(&format!("clients/buoy-1/3/0/0{format}")), content(&maker), "{format}");
    }
    let (_, instance) = world.get("clients/buoy-1/3/0");
    assert_eq!((&instance["content"]["kind"], &instance["content"]["id"]), (&json!("instance"), &json!(0)));
    let errors = json!({"kind": "multiResource", "id": 11, "type": "INTEGER", "values": {"0": "0"}});
    assert!(instance["content"]["resources"].as_array().unwrap().contains(&errors), "{instance}");
    let (_, object) = world.get("clients/buoy-1/3");
    assert_eq!((&object["content"]["kind"], &object["content"]["id"]), (&json!("obj"), &json!(3)));
    assert_eq!(
        world.get("clients/buoy-1/3/0/11/0"),
        content(&json!({"kind": "resourceInstance", "id": 0, "type": "INTEGER", "value": "0"}))
    );
    assert_eq!(world.get("clients/buoy-1/3/0/77").1["status"], json!("NOT_FOUND(404)"));

    let on = json!({"kind": "singleResource", "id": 5850, "type": "boolean", "value": true});
    assert_eq!(world.send("PUT", "clients/buoy-1/3311/0/5850", &on), status("CHANGED(204)"));
    assert_eq!(world.get("clients/buoy-1/3311/0/5850").1["content"]["value"], json!(true));
    let zone = world.call("PUT", "clients/buoy-1/3/0/15", "text/plain", "Europe/Berlin");
    assert_eq!(zone, status("CHANGED(204)"));
    assert_eq!(world.get("clients/buoy-1/3/0/15").1["content"]["value"], json!("Europe/Berlin"));
    let typed = world.call("PUT", "clients/buoy-1/3311/0/5851", "text/plain", "5");
    assert_eq!(typed, status("CHANGED(204)"));
    assert_eq!(world.get("clients/buoy-1/3311/0/5851").1["content"]["value"], json!("5"));
    let part = json!({"kind": "instance", "id": 0, "resources": [
        {"kind": "singleResource", "id": 5850, "type": "BOOLEAN", "value": "false"},
        {"kind": "singleResource", "id": 5851, "type": "INTEGER", "value": "40"}]});
    assert_eq!(world.send("PUT", "clients/buoy-1/3311/0?replace=false", &part), status("CHANGED(204)"));
    assert_eq!(world.get("clients/buoy-1/3311/0/5851").1["content"]["value"], json!("40"));
    let attributes = world.call("PUT", "clients/buoy-1/3303/0/attributes?pmin=10&pmax=60", "", "");
    assert_eq!(attributes, status("CHANGED(204)"));
    let (_, discovered) = world.get("clients/buoy-1/3303/0/discover");
    assert_eq!(
        discovered["objectLinks"][0],
        json!({"url": "/3303/0", "attributes": {"pmin": "10", "pmax": "60"}})
    );
    let executed = world.call("POST", "clients/buoy-1/3/0/12", "", "");
    assert_eq!(executed, status("CHANGED(204)"));
}

#[test]
fn requests_to_a_device_that_is_awake_wait_in_line() {
    let world = World::new(&[]);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(|| world.get("clients/buoy-1/3/0/3"))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (code, answer) in answers {
        assert_eq!((code, &answer["content"]["value"]), (200, &json!("1.0.0")), "{answer}");
    }
}

#[test]
fn composites_go_by_path() {
    let world = World::new(&[]);
    let maker = json!({"kind": "singleResource", "id": 0, "type": "STRING", "value": "Buoy"});
    let lifetime = json!({"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "300"});
    let both = content(&json!({"/3/0/0": maker, "/1/0/1": lifetime}));
    let read = "clients/buoy-1/composite?paths=/3/0/0,/1/0/1";
    assert_eq!(world.get(read), both);
    assert_eq!(world.get(&format!("{read}&pathformat=SENML_JSON&nodeformat=SENML_JSON")), both);
    // Whatever the answer shall be, the paths are sent in a format that has paths.
    assert_eq!(world.get(&format!("{read}&nodeformat=JSON")).0, 200);
    let write = json!({
        "/3/0/15": {"kind": "singleResource", "id": 15, "type": "string", "value": "Etc/GMT"},
        "/1/0/1": {"kind": "singleResource", "id": 1, "type": "integer", "value": 400}});
    assert_eq!(world.send("PUT", "clients/buoy-1/composite", &write), status("CHANGED(204)"));
    assert_eq!(world.get("clients/buoy-1/1/0/1").1["content"]["value"], json!("400"));
    let (code, observed) = world.call("POST", "clients/buoy-1/composite/observe?paths=/3/0/0,/1/0/1", "", "");
    assert_eq!((code, &observed["status"]), (200, &json!("CONTENT(205)")));
    let cancelled =
        world.call("DELETE", "clients/buoy-1/composite/observe?paths=/3/0/0,/1/0/1&active", "", "");
    assert_eq!((cancelled.0, &cancelled.1["success"]), (200, &json!(true)));
}

#[test]
fn observations_bring_events_until_they_are_cancelled() {
    let world = World::new(&[]);
    let (heard, told) = std::sync::mpsc::channel();
    let client = world.server.client();
    std::thread::spawn(move || {
        client.follow("/api/event?ep=buoy-1", |name, data| {
            heard.send((name.to_owned(), serde_json::from_str::<Value>(data).unwrap())).is_ok()
        })
    });
    let next = |wanted: &str| loop {
        let (name, data) = told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        if name == wanted {
            return data;
        }
    };
    // The stream is there once it tells of a message.
    wait_until("the stream", || {
        world.get("clients/buoy-1/3/0/0");
        told.try_recv().is_ok_and(|(name, _)| name == "COAPLOG")
    });
    let (code, first) = world.call("POST", "clients/buoy-1/3303/0/5700/observe", "", "");
    assert_eq!((code, &first["content"]["type"]), (200, &json!("FLOAT")));
    let notification = next("NOTIFICATION");
    assert_eq!(
        (&notification["ep"], &notification["kind"], &notification["res"]),
        (&json!("buoy-1"), &json!("single"), &json!("/3303/0/5700"))
    );
    assert_eq!(notification["val"]["kind"], json!("singleResource"));
    let message = next("COAPLOG");
    for field in ["timestamp", "incoming", "type", "code", "mId", "token", "options", "ep"] {
        assert!(message.get(field).is_some(), "{field}: {message}");
    }
    world.call("POST", "clients/buoy-1/1/0/8", "", "");
    let update = next("UPDATED");
    assert_eq!(update["registration"]["endpoint"], json!("buoy-1"));
    assert_eq!(update["update"]["secure"], json!(false));
    let cancelled = world.call("DELETE", "clients/buoy-1/3303/0/5700/observe?active", "", "");
    assert_eq!((cancelled.0, &cancelled.1["status"]), (200, &json!("CONTENT(205)")));
    let again = world.call("DELETE", "clients/buoy-1/3303/0/5700/observe", "", "");
    assert_eq!(again.0, 200, "there is nothing to forget");
    let active = world.call("DELETE", "clients/buoy-1/3303/0/5700/observe?active", "", "");
    assert_eq!(active.0, 404, "the device can't be told of it");
    let (code, problem) = world.call("PATCH", "clients", "", "");
    assert_eq!((code, &problem["title"]), (405, &json!("Method not allowed")));
}

#[test]
fn a_sleeping_device_answers_later_by_an_event() {
    let world = World::new(&["--queue", "--awake", "1", "--lifetime", "12"]);
    let (heard, told) = std::sync::mpsc::channel();
    let client = world.server.client();
    std::thread::spawn(move || {
        client.follow("/api/event?ep=buoy-1", |name, data| {
            heard.send((name.to_owned(), data.to_owned())).is_ok()
        })
    });
    wait_until("sleep", || world.get("clients/buoy-1").1["sleeping"] == json!(true));
    let (code, delayed) = world.get("clients/buoy-1/3/0/0");
    assert_eq!(
        (code, &delayed["delayed"], &delayed["ep"], &delayed["path"]),
        (200, &json!(true), &json!("buoy-1"), &json!("/3/0/0"))
    );
    let answer = loop {
        let (name, data) = told.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        if name == "REQUEST_RESPONSE" {
            break serde_json::from_str::<Value>(&data).unwrap();
        }
    };
    assert_eq!((&answer["requestId"], &answer["delayed"]), (&delayed["requestId"], &json!(true)));
    assert_eq!(answer["response"]["content"]["value"], json!("Buoy"));
}

#[test]
fn what_makes_no_sense_is_400_with_the_reason() {
    let world = World::new(&[]);
    for (method, path, body, reason) in [
        ("GET", "clients/buoy-1/abc", "", "Invalid request: "),
        ("GET", "clients/buoy-1/3/0/0?format=XML", "", "XML is no content format"),
        ("GET", "clients/buoy-1/3/0/0?timeout=soon", "", "timeout must be"),
        ("GET", "clients/buoy-1/composite", "", "paths is missing"),
        ("PUT", "clients/buoy-1/3311/0/5850", "{", "no JSON"),
        ("PUT", "clients/buoy-1/3311/0/5850", "{}", "none of \"kind\""),
        ("POST", "clients/buoy-1/3303", "[]", "must be an object instance"),
        ("POST", "clients/buoy-1/3303", "5", "must be an object instance"),
        ("POST", "clients/buoy-1/3303", "null", "must be an object instance"),
        (
            "PUT",
            "clients/buoy-1/3311/0/5850",
            r#"{"kind":"singleResource","id":5850,"value":"maybe"}"#,
            "Boolean",
        ),
        (
            "PUT",
            "clients/buoy-1/3311/0/5851",
            r#"{"kind":"singleResource","id":5851,"type":"string","value":"A"}"#,
            "Integer",
        ),
        (
            "POST",
            "clients/buoy-1/3303?format=SENML_JSON",
            r#"{"kind":"instance","resources":[{"kind":"singleResource","id":5700,"value":1}]}"#,
            "TLV",
        ),
        ("GET", "clients/buoy-1/3?format=LINK", "", "/discover"),
        ("PUT", "clients/buoy-1/3303/0/attributes?pmin=soon", "", "pmin"),
        ("POST", "clients/buoy-1/3/0", "", "POST creates at an object"),
    ] {
        let (code, answer) = world.call(method, path, "application/json", body);
        assert_eq!(code, 400, "{method} {path}: {answer}");
        assert!(answer.as_str().is_some_and(|text| text.contains(reason)), "{method} {path}: {answer}");
    }
    assert_eq!(world.get("event").0, 405);
    assert_eq!(world.get("server/endpoint").1[0]["protocol"], json!("coap"));
    let specs = world.get("objectspecs/buoy-1").1;
    assert!(
        specs
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == 3303 && !model["resourcedefs"].as_array().unwrap().is_empty())
    );
}

#[test]
fn what_zephyr_s_scripts_send_is_taken() {
    let world = World::new(&[]);
    let on = json!({"id": "5850", "kind": "singleResource", "value": true, "type": "boolean"});
    assert_eq!(world.send("PUT", "clients/buoy-1/3311/0/5850", &on), status("CHANGED(204)"));
    let bare = json!({"id": 5850, "value": false});
    assert_eq!(world.send("PUT", "clients/buoy-1/3311/0/5850", &bare), status("CHANGED(204)"));
    let instance = json!({"id": 0, "resources": [{"id": 5850, "value": true}]});
    assert_eq!(world.send("PUT", "clients/buoy-1/3311/0?replace=false", &instance), status("CHANGED(204)"));

    for path in ["security/clients/", "clients/", "clients/buoy-1/", "server/security/", "server/endpoint/"] {
        assert_eq!(world.get(path).0, 200, "{path}");
    }
    assert_eq!(world.get("clients/buoy-1/3/0/0/").1["content"]["value"], json!("Buoy"));

    let (_, composite) = world.get("clients/buoy-1/composite?paths=3/0/0,/3/0/77,/42,");
    assert_eq!(
        composite["content"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["/3/0/0"],
        "{composite}"
    );
    let observed = "clients/buoy-1/composite/observe?paths=/3/0/0,/42";
    let (_, first) = world.call("POST", observed, "", "");
    assert_eq!(first["content"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/3/0/0"], "{first}");
    assert_eq!(world.call("DELETE", observed, "", "").0, 200);

    let (_, specs) = world.get("objectspecs/buoy-1");
    let device = specs.as_array().unwrap().iter().find(|model| model["id"] == json!(3)).unwrap();
    assert!(device["urn"].as_str().unwrap().starts_with("urn:oma:lwm2m:oma:3"), "{device}");
    assert!(device.get("description2").is_some() && device.get("lwm2mversion").is_some());
}

#[test]
fn a_bootstrap_credential_and_a_configuration_are_given_at_an_address_of_their_own() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let mut command = common::buoy();
    command.args(["serve", "--shards", "1", "--http", "127.0.0.1:0", "--bootstrap-http", "127.0.0.1:0"]);
    command.args(["--coaps", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0", "--data"]);
    let server = Server::spawn(command.arg(workshop.path("data")));
    let call = |base: &str, method: &str, path: &str, body: &str| {
        let request =
            ureq::http::Request::builder().method(method).uri(format!("{}/api/{path}", server.uri(base)));
        let request = request.header("content-type", "application/json").body(body.to_owned()).unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.run(request).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    let psk = |key: &str| {
        format!(r#"{{"endpoint":"z","tls":{{"mode":"psk","details":{{"identity":"z","key":"{key}"}} }} }}"#)
    };
    let (bootstrap_key, key) = ("62".repeat(16), "6c".repeat(16));
    assert_eq!(
        call("BootREST", "PUT", "security/clients/?timeout=10&format=SENML_CBOR", &psk(&bootstrap_key)).0,
        200
    );
    assert_eq!(call("REST", "PUT", "security/clients/", &psk(&key)).0, 200);
    assert!(!call("REST", "GET", "security/clients", "").1.contains(&bootstrap_key));
    let secret = vec!["108"; 16].join(",");
    let config = format!(
        r#"{{"servers":{{"0":{{"binding":"U","defaultMinPeriod":1,"lifetime":86400,"notifIfDisabled":false,"shortId":1}}}},
        "security":{{"1":{{"bootstrapServer":false,"clientOldOffTime":1,"publicKeyOrId":[122],"secretKey":[{secret}],
        "securityMode":"PSK","serverId":1,"serverSmsNumber":"","smsBindingKeyParam":[],"smsBindingKeySecret":[],
        "smsSecurityMode":"NO_SEC","uri":"{}"}}}},"oscore":{{}},"toDelete":["/0","/1"]}}"#,
        server.uri("CoAPS")
    );
    assert_eq!(call("BootREST", "POST", "bootstrap/z?timeout=10", &config).0, 200);
    let mut child = common::buoy()
        .args([
            "device",
            "--endpoint",
            "z",
            "--bootstrap",
            server.uri("BootstrapS"),
            "--psk-key",
            &bootstrap_key,
        ])
        .arg("--trust")
        .arg(workshop.path("release.pub.pem"))
        .arg("--factory")
        .arg(&factory)
        .arg("--flash")
        .arg(workshop.path("z.flash"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the bootstrapped device", || server.client().device("z").is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(call("BootREST", "DELETE", "security/clients/z", "").0, 200);
    assert_eq!(call("BootREST", "DELETE", "bootstrap/z", "").0, 204);
    assert!(call("BootREST", "GET", "security/clients", "").1.starts_with("[]"));
    assert!(call("REST", "GET", "security/clients", "").1.contains("\"z\""), "the other server's is another");
    assert_eq!(call("BootREST", "GET", "clients", "").0, 404);
}
