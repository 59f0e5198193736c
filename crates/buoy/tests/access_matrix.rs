//! Every route with every kind of author: what the OpenAPI document has, and what Leshan's dialect has.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

use buoy_api::Role::{self, Admin, Operator, Viewer};
use buoy_api::client::Client;
use buoy_api::{AddAccount, AddToken, Grant, Secret, Setup, SignIn, StartOperation};
use common::{Server, Workshop, register_request, wait_until};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// Who may use a route.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// Everybody, without a sign-in. The status is that of a request by who has no business there.
    Nothing(u16),
    /// A sign-in of any role, for what belongs to its account.
    SignIn,
    /// A role for some devices: a list then has those.
    Somewhere(Role),
    /// A role for the device buoy-1.
    Device(Role),
    /// A role for the whole server.
    Server(Role),
}

use Needs::{Device, Nothing, Server as Whole, SignIn as Own, Somewhere};

/// Method, path, who may use it, and a body with which it is tried.
type Row = (&'static str, &'static str, Needs, Option<Value>);

fn table(ids: &Ids) -> Vec<Row> {
    let read = json!({"endpoint": "buoy-1", "request": {"read": {"path": "/3/0/0"}}, "wait": 0});
    let update =
        json!({"endpoint": "buoy-1", "firmware": ids.firmware, "version": "1.0.0", "delivery": "push"});
    let campaign = json!({"name": "x", "firmware": ids.firmware, "version": "1.0.0"});
    let job = json!({"filter": "name = buoy-1", "request": {"read": {"path": "/3/0/0"}}});
    let desired = json!({"settings": [{"path": "/1/0/1", "value": 300}]});
    let psk = json!({"endpoint": "buoy-3", "proof": {"psk": {}}});
    let account = json!({"name": "dave", "password": PASSWORD, "grants": [{"role": "viewer"}]});
    let sign_in = json!({"name": "viewer", "password": PASSWORD});
    let setup = json!({"token": "aaaa", "name": "mallory", "password": PASSWORD});
    let passwords = json!({"current": PASSWORD, "new": PASSWORD});
    let receiver = json!({"target": {"kind": "webhook", "url": "https://example.org/"}});
    let config = json!({"pattern": "x-*", "servers": [{"uri": "coaps://127.0.0.1:5684"}]});
    vec![
        ("get", "/api/v1/openapi.json", Nothing(200), None),
        ("get", "/api/v1/setup", Nothing(200), None),
        ("post", "/api/v1/setup", Nothing(403), Some(setup)),
        ("post", "/api/v1/sign-in", Nothing(200), Some(sign_in)),
        ("post", "/api/v1/sign-in/link", Nothing(403), Some(json!({"token": "aaaa"}))),
        ("post", "/api/v1/sign-out", Own, None),
        ("get", "/api/v1/me", Own, None),
        ("put", "/api/v1/me/password", Own, Some(passwords)),
        ("post", "/api/v1/me/second-factor", Own, None),
        ("post", "/api/v1/me/second-factor/confirm", Own, Some(json!({"code": "000000"}))),
        ("post", "/api/v1/me/second-factor/remove", Own, Some(json!({"password": PASSWORD}))),
        ("get", "/api/v1/tokens", Own, None),
        ("post", "/api/v1/tokens", Own, Some(json!({"name": "ci"}))),
        ("delete", "/api/v1/tokens/{id}", Own, None),
        ("get", "/api/v1/accounts", Whole(Admin), None),
        ("post", "/api/v1/accounts", Whole(Admin), Some(account)),
        ("get", "/api/v1/accounts/{name}", Whole(Admin), None),
        ("put", "/api/v1/accounts/{name}", Whole(Admin), Some(json!({"disabled": true}))),
        ("delete", "/api/v1/accounts/{name}", Whole(Admin), None),
        ("post", "/api/v1/accounts/{name}/sign-in-link", Whole(Admin), None),
        ("get", "/api/v1/audit", Whole(Admin), None),
        ("get", "/api/v1/audit/chain", Whole(Admin), None),
        ("get", "/api/v1/devices", Somewhere(Viewer), None),
        ("get", "/api/v1/device-counts", Whole(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}", Device(Viewer), None),
        ("delete", "/api/v1/devices/{endpoint}", Device(Operator), None),
        ("get", "/api/v1/devices/{endpoint}/objects", Device(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}/observations", Device(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}/series", Device(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}/series/{path}", Device(Viewer), None),
        ("get", "/api/v1/series", Device(Viewer), None),
        ("post", "/api/v1/devices", Whole(Operator), Some(json!({"devices": [{"endpoint": "buoy-6"}]}))),
        ("post", "/api/v1/devices/import", Whole(Operator), Some(json!("csv"))),
        ("patch", "/api/v1/devices/{endpoint}", Device(Operator), Some(json!({"add_tags": ["spare"]}))),
        ("get", "/api/v1/devices/{endpoint}/values", Device(Viewer), None),
        ("post", "/api/v1/devices/{endpoint}/retire", Device(Operator), None),
        ("post", "/api/v1/devices/{endpoint}/bring-back", Device(Operator), None),
        (
            "post",
            "/api/v1/devices/{endpoint}/merge",
            Whole(Admin),
            Some(json!({"into": "buoy-2", "confirm": "no"})),
        ),
        ("get", "/api/v1/devices/{endpoint}/why", Device(Viewer), None),
        ("get", "/api/v1/device-matches", Whole(Viewer), None),
        ("get", "/api/v1/groups", Somewhere(Viewer), None),
        ("get", "/api/v1/groups/{name}", Device(Viewer), None),
        ("put", "/api/v1/groups/{name}", Whole(Operator), Some(json!({"description": "x"}))),
        ("post", "/api/v1/groups/{name}/devices", Whole(Operator), Some(json!({"add": ["buoy-1"]}))),
        ("delete", "/api/v1/groups/{name}", Whole(Operator), None),
        ("get", "/api/v1/filters", Somewhere(Viewer), None),
        ("put", "/api/v1/filters/{name}", Whole(Operator), Some(json!({"filter": "tag = spare"}))),
        ("delete", "/api/v1/filters/{name}", Whole(Operator), None),
        ("get", "/api/v1/operations", Somewhere(Viewer), None),
        ("post", "/api/v1/operations", Device(Operator), Some(read)),
        ("get", "/api/v1/operations/{id}", Device(Viewer), None),
        ("delete", "/api/v1/operations/{id}", Device(Operator), None),
        ("get", "/api/v1/updates", Somewhere(Viewer), None),
        ("post", "/api/v1/updates", Device(Operator), Some(update)),
        ("get", "/api/v1/updates/{id}", Device(Viewer), None),
        ("delete", "/api/v1/updates/{id}", Device(Operator), None),
        ("get", "/api/v1/campaigns", Whole(Viewer), None),
        ("post", "/api/v1/campaigns", Whole(Operator), Some(campaign.clone())),
        ("post", "/api/v1/campaigns/preview", Whole(Viewer), Some(campaign.clone())),
        (
            "post",
            "/api/v1/campaigns/rehearse",
            Whole(Operator),
            Some(json!({"plan": campaign, "conditions": {"devices": 2}})),
        ),
        ("get", "/api/v1/campaigns/{id}", Whole(Viewer), None),
        ("put", "/api/v1/campaigns/{id}", Whole(Operator), Some(campaign)),
        ("get", "/api/v1/campaigns/{id}/devices", Whole(Viewer), None),
        ("get", "/api/v1/campaigns/{id}/report", Whole(Viewer), None),
        ("post", "/api/v1/campaigns/{id}/start", Whole(Operator), None),
        ("post", "/api/v1/campaigns/{id}/approve", Whole(Operator), None),
        ("post", "/api/v1/campaigns/{id}/pause", Whole(Operator), None),
        ("post", "/api/v1/campaigns/{id}/resume", Whole(Operator), Some(json!({}))),
        ("post", "/api/v1/campaigns/{id}/retry", Whole(Operator), None),
        ("post", "/api/v1/campaigns/{id}/abort", Whole(Operator), None),
        ("delete", "/api/v1/campaigns/{id}", Whole(Operator), None),
        ("get", "/api/v1/desired-states", Whole(Viewer), None),
        ("get", "/api/v1/desired-states/{name}", Whole(Viewer), None),
        ("put", "/api/v1/desired-states/{name}", Whole(Operator), Some(desired)),
        ("delete", "/api/v1/desired-states/{name}", Whole(Operator), None),
        ("get", "/api/v1/desired-states/{name}/devices", Whole(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}/desired-state", Device(Viewer), None),
        ("post", "/api/v1/devices/{endpoint}/desired-state/retry", Device(Operator), None),
        ("get", "/api/v1/jobs", Somewhere(Viewer), None),
        ("post", "/api/v1/jobs", Somewhere(Operator), Some(job.clone())),
        ("post", "/api/v1/jobs/preview", Somewhere(Operator), Some(job)),
        ("get", "/api/v1/jobs/{id}", Whole(Viewer), None),
        ("get", "/api/v1/jobs/{id}/devices", Whole(Viewer), None),
        ("post", "/api/v1/jobs/{id}/cancel", Whole(Operator), None),
        ("post", "/api/v1/jobs/{id}/retry", Whole(Operator), Some(json!({}))),
        ("delete", "/api/v1/jobs/{id}", Whole(Operator), None),
        ("get", "/api/v1/firmware", Somewhere(Viewer), None),
        ("post", "/api/v1/firmware", Whole(Operator), Some(json!("octets"))),
        ("get", "/api/v1/firmware/{digest}", Somewhere(Viewer), None),
        ("put", "/api/v1/firmware/{digest}/signature", Whole(Operator), Some(json!("octets"))),
        ("delete", "/api/v1/firmware/{digest}", Whole(Operator), None),
        ("get", "/api/v1/credentials", Somewhere(Operator), None),
        ("post", "/api/v1/credentials", Device(Admin), Some(psk)),
        ("post", "/api/v1/credentials/import", Whole(Admin), Some(json!("csv"))),
        ("get", "/api/v1/credentials/{id}", Device(Operator), None),
        ("post", "/api/v1/credentials/{id}/rotate", Device(Admin), Some(json!({"psk": {}}))),
        ("post", "/api/v1/credentials/{id}/revoke", Device(Admin), None),
        ("delete", "/api/v1/credentials/{id}", Device(Admin), None),
        ("get", "/api/v1/bootstrap/configs", Whole(Operator), None),
        ("put", "/api/v1/bootstrap/configs", Whole(Admin), Some(config)),
        ("get", "/api/v1/bootstrap/configs/{pattern}", Whole(Operator), None),
        ("delete", "/api/v1/bootstrap/configs/{pattern}", Whole(Admin), None),
        ("get", "/api/v1/bootstrap/claims", Whole(Operator), None),
        ("post", "/api/v1/bootstrap/claims/{endpoint}/accept", Whole(Admin), None),
        ("delete", "/api/v1/bootstrap/claims/{endpoint}", Whole(Admin), None),
        ("get", "/api/v1/events", Somewhere(Viewer), None),
        ("get", "/api/v1/devices/{endpoint}/trace", Device(Viewer), None),
        ("get", "/api/v1/alerts", Somewhere(Viewer), None),
        (
            "post",
            "/api/v1/alerts/acknowledge",
            Whole(Operator),
            Some(json!({"rule": "x", "subject": "buoy-1"})),
        ),
        ("get", "/api/v1/alert-rules", Whole(Viewer), None),
        ("post", "/api/v1/alert-rules/defaults", Whole(Operator), None),
        ("get", "/api/v1/alert-rules/{name}", Whole(Viewer), None),
        ("put", "/api/v1/alert-rules/{name}", Whole(Operator), Some(json!({"condition": {"kind": "store"}}))),
        ("delete", "/api/v1/alert-rules/{name}", Whole(Operator), None),
        ("get", "/api/v1/alert-silences", Whole(Viewer), None),
        ("post", "/api/v1/alert-silences", Whole(Operator), Some(json!({"until": 1, "comment": "x"}))),
        ("delete", "/api/v1/alert-silences/{id}", Whole(Operator), None),
        ("get", "/api/v1/alert-receivers", Whole(Viewer), None),
        ("get", "/api/v1/alert-receivers/{name}", Whole(Viewer), None),
        ("put", "/api/v1/alert-receivers/{name}", Whole(Admin), Some(receiver)),
        ("post", "/api/v1/alert-receivers/{name}/test", Whole(Admin), None),
        ("delete", "/api/v1/alert-receivers/{name}", Whole(Admin), None),
        ("get", "/api/v1/alert-deliveries", Whole(Viewer), None),
        ("post", "/api/v1/alert-deliveries/{id}/replay", Whole(Operator), None),
    ]
}

/// Leshan's dialect, which the document does not have.
fn leshan() -> Vec<Row> {
    let psk =
        json!({"endpoint": "buoy-4", "tls": {"mode": "psk", "details": {"identity": "i", "key": "00"}}});
    vec![
        ("get", "/api/clients", Somewhere(Viewer), None),
        ("get", "/api/clients/buoy-1", Device(Viewer), None),
        ("get", "/api/clients/buoy-1/3/0/0?timeout=1", Device(Operator), None),
        (
            "put",
            "/api/clients/buoy-1/3/0/15?timeout=1",
            Device(Operator),
            Some(json!({"id": 15, "kind": "singleResource", "value": "x", "type": "string"})),
        ),
        ("post", "/api/clients/buoy-1/3/0/4?timeout=1", Device(Operator), None),
        ("delete", "/api/clients/buoy-1/3/0/0/observe", Device(Operator), None),
        ("get", "/api/objectspecs/buoy-1", Device(Viewer), None),
        ("get", "/api/security/clients", Somewhere(Operator), None),
        ("get", "/api/security/clients/buoy-1", Device(Operator), None),
        ("put", "/api/security/clients", Device(Admin), Some(psk)),
        ("delete", "/api/security/clients/buoy-4", Device(Admin), None),
        ("get", "/api/bootstrap", Whole(Operator), None),
        ("post", "/api/bootstrap/x-1", Whole(Admin), Some(json!({}))),
        ("delete", "/api/bootstrap/x-1", Whole(Admin), None),
        ("get", "/api/security/server", Own, None),
        ("get", "/api/server/security", Own, None),
        ("get", "/api/server/endpoint", Own, None),
        ("get", "/api/event", Somewhere(Viewer), None),
        ("get", "/api/event?ep=buoy-1", Device(Viewer), None),
        ("get", "/metrics", Own, None),
        ("get", "/healthz", Nothing(200), None),
        ("get", "/readyz", Nothing(200), None),
        ("get", "/", Nothing(200), None),
    ]
}

/// What the routes are tried with.
struct Ids {
    firmware: String,
    operation: String,
    update: String,
    credential: String,
    token: String,
}

impl Ids {
    fn fill(&self, path: &str) -> String {
        let id: &str = match path.split('/').nth(3) {
            Some("operations") => &self.operation,
            Some("updates") => &self.update,
            Some("credentials") => &self.credential,
            // The first that is made.
            Some("campaigns" | "jobs") => "1",
            _ => &self.token,
        };
        path.replace("device-counts", "device-counts?by=state")
            .replace("device-matches", "device-matches?filter=tag%20%3D%20spare")
            .replace("v1/series", "v1/series?path=/3303/0/5700&endpoints=buoy-1")
            .replace("{endpoint}", "buoy-1")
            .replace("{path}", "3303/0/5700")
            .replace("{digest}", &self.firmware)
            .replace("{pattern}", "y-*")
            .replace("{name}", "spare")
            .replace("{id}", id)
    }
}

/// An author of requests.
struct Author {
    name: &'static str,
    /// Cookie and CSRF token.
    session: Option<(String, String)>,
}

impl Author {
    fn signed_in(server: &Server, name: &'static str) -> Self {
        let body = json!({"name": name, "password": PASSWORD}).to_string();
        let mut answer = ureq::post(&format!("{}/api/v1/sign-in", server.http))
            .header("Content-Type", "application/json")
            .send(&body)
            .unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        for part in ["__Host-buoy=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let me: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        Self { name, session: Some((cookie, me["csrf"].as_str().unwrap().to_owned())) }
    }

    fn status(&self, server: &Server, method: &str, path: &str, body: Option<&Value>) -> u16 {
        let mut request = ureq::http::Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(format!("{}{path}", server.http));
        if let Some((cookie, csrf)) = &self.session {
            request = request.header("Cookie", cookie).header("X-CSRF-Token", csrf);
        }
        if path.starts_with("/api/event") {
            request = request.header("Accept", "text/event-stream");
        }
        let (kind, bytes) = match body {
            None => ("", String::new()),
            Some(Value::String(text)) if text == "octets" => ("application/octet-stream", "image".to_owned()),
            Some(Value::String(_)) if path.starts_with("/api/v1/devices") => {
                ("text/csv", "endpoint,tags\nbuoy-7,spare\n".to_owned())
            }
            Some(Value::String(_)) => ("text/csv", "endpoint,kind\nbuoy-5,psk\n".to_owned()),
            Some(body) => ("application/json", body.to_string()),
        };
        if !kind.is_empty() {
            request = request.header("Content-Type", kind);
        }
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent.run(request.body(bytes).unwrap()).unwrap().status().as_u16()
    }

    /// What the answer is to be: a status, or `None` for any by which the request was let in.
    fn expected(&self, needs: Needs) -> Option<u16> {
        let role = match self.name {
            "viewer" => Viewer,
            "operator" | "south" => Operator,
            "admin" => Admin,
            _ => return Some(if let Nothing(status) = needs { status } else { 401 }),
        };
        let is_let_in = match needs {
            Nothing(status) => return Some(status),
            Own => true,
            Somewhere(needed) => role >= needed,
            Device(needed) | Whole(needed) => role >= needed && self.name != "south",
        };
        if is_let_in { None } else { Some(403) }
    }
}

/// A server with an account of each role, with a device, and with something of each kind.
fn start(workshop: &Workshop) -> (Server, Ids) {
    let server = Server::start(&workshop.path("data"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&register_request("buoy-1", 1, b"t"), &server.coap).unwrap();
    wait_until("buoy-1", || server.client().device("buoy-1").is_ok());
    let local = server.client();
    let image = std::fs::read(workshop.release("1.0.0", "good")).unwrap();
    let firmware = local.upload_firmware(None, &image).unwrap().digest;
    let read: StartOperation = serde_json::from_value(
        json!({"endpoint": "buoy-1", "request": {"read": {"path": "/3/0/0"}}, "wait": 0}),
    )
    .unwrap();
    let operation = local.start_operation(&read).unwrap().id.to_string();
    let update = json!({"endpoint": "buoy-1", "firmware": firmware, "version": "1.0.0", "delivery": "push"});
    let update: Value = local.send_json(ureq::http::Method::POST, "/api/v1/updates", &update).unwrap();
    let credential = json!({"endpoint": "buoy-2", "proof": {"psk": {}}});
    let credential: Value =
        local.send_json(ureq::http::Method::POST, "/api/v1/credentials", &credential).unwrap();

    let job = json!({"filter": "name = buoy-1", "request": {"read": {"path": "/3/0/0"}}});
    local.send_json::<Value>(ureq::http::Method::POST, "/api/v1/jobs", &job).unwrap();

    let token = server.setup_token.clone().unwrap();
    let setup = Setup { token: Secret::new(token), name: "admin".into(), password: secret() };
    let admin: Client = local.set_up(&setup).unwrap();
    for (name, grant) in
        [("viewer", "viewer"), ("operator", "operator"), ("south", "operator@south"), ("spare", "viewer")]
    {
        let grants = vec![grant.parse::<Grant>().unwrap()];
        let request = AddAccount { name: name.into(), password: secret(), grants };
        admin.send_json::<Value>(ureq::http::Method::POST, "/api/v1/accounts", &request).unwrap();
    }
    let token = AddToken { name: "spare".into(), grants: None, expires_in: None };
    let token = admin.add_token(&token).unwrap().token.id.to_string();
    let id = |value: &Value| value["id"].to_string();
    let ids = Ids { firmware, operation, update: id(&update), credential: id(&credential), token };
    (server, ids)
}

fn secret() -> Secret {
    Secret::new(PASSWORD.to_owned())
}

#[test]
fn every_route_answers_each_author_as_the_table_says() {
    let workshop = Workshop::new();
    let (server, ids) = start(&workshop);
    let document: Value = serde_json::from_str(include_str!("../../api/openapi.json")).unwrap();
    let routes: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let table = table(&ids);
    let entries: BTreeSet<_> = table.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    let missing: Vec<_> = routes.symmetric_difference(&entries).collect();
    assert!(missing.is_empty(), "routes and entries of this test that have no other half: {missing:?}");

    let rows: BTreeMap<u8, Vec<Row>> =
        table.into_iter().chain(leshan()).fold(BTreeMap::new(), |mut rows, row| {
            // What removes something comes after what needs it, and a sign-out at the end.
            let turn = match (row.0, row.1) {
                (_, "/api/v1/sign-out") => 3,
                ("delete", _) => 2,
                ("post", path)
                    if ["revoke", "retire", "bring-back"].iter().any(|end| path.ends_with(end)) =>
                {
                    2
                }
                _ => 1,
            };
            rows.entry(turn).or_insert_with(Vec::new).push(row);
            rows
        });
    let authors = [
        Author { name: "nobody", session: None },
        Author::signed_in(&server, "south"),
        Author::signed_in(&server, "viewer"),
        Author::signed_in(&server, "operator"),
        Author::signed_in(&server, "admin"),
    ];
    let mut wrong = Vec::new();
    for (method, path, needs, body) in rows.into_values().flatten() {
        let path = ids.fill(path);
        for author in &authors {
            let status = author.status(&server, method, &path, body.as_ref());
            let is_right = match author.expected(needs) {
                Some(expected) => status == expected,
                None => {
                    !matches!(status, 401 | 403 | 405 | 415 | 422) && status < 500
                    // The device says nothing.
                    || status == 504
                }
            };
            if !is_right {
                wrong.push(format!("{method} {path} by {}: {status}, and it needs {needs:?}", author.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_role_for_a_group_covers_the_devices_of_the_group_and_nothing_of_others() {
    let workshop = Workshop::new();
    let (server, _) = start(&workshop);
    let signed_in = |name: &str| {
        let sign_in = SignIn { name: name.into(), password: secret(), code: None };
        server.client().sign_in(&sign_in).unwrap()
    };
    let (admin, south) = (signed_in("admin"), signed_in("south"));
    let listed = |list: &str| -> Value {
        let page: Value = south.get(&format!("/api/v1/{list}?limit=10")).unwrap();
        page["items"].clone()
    };
    for list in ["devices", "operations", "updates", "credentials"] {
        assert_eq!(listed(list), json!([]), "{list}");
    }
    assert_eq!(south.get::<Value>("/api/clients").unwrap(), json!([]));

    let put = |path: &str, body: Value| {
        admin.send_json::<Value>(ureq::http::Method::PUT, path, &body).unwrap();
    };
    put("/api/v1/groups/south", json!({"description": "by list and by filter", "filter": "name ~ \"s-*\""}));
    let join = json!({"add": ["buoy-1"]});
    admin.send_json::<Value>(ureq::http::Method::POST, "/api/v1/groups/south/devices", &join).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (number, name) in [(1, "s-1"), (2, "n-1")] {
        socket.send_to(&register_request(name, number, b"t"), &server.coap).unwrap();
        wait_until(name, || admin.device(name).is_ok());
    }
    let names: Vec<Value> =
        listed("devices").as_array().unwrap().iter().map(|device| device["endpoint"].clone()).collect();
    assert_eq!(names, ["buoy-1", "s-1"]);
    assert_eq!(listed("operations").as_array().unwrap().len(), 1);
    assert_eq!(listed("updates").as_array().unwrap().len(), 1);
    assert_eq!(south.get::<Value>("/api/clients").unwrap().as_array().unwrap().len(), 2);
    let command = |name: &str| {
        let request = json!({"endpoint": name, "request": {"read": {"path": "/3/0/0"}}, "wait": 0});
        south.start_operation(&serde_json::from_value(request).unwrap())
    };
    command("s-1").unwrap();
    let refused = command("n-1").unwrap_err().to_string();
    assert!(refused.contains("south may not command the device n-1"), "{refused}");
    // What is no device is refused in the same way: names are not told.
    let unknown = command("n-2").unwrap_err().to_string();
    assert_eq!(unknown, refused.replace("n-1", "n-2"));
    // Nobody widens his own group.
    let join = json!({"add": ["n-1"]});
    let widened = south.send_json::<Value>(ureq::http::Method::POST, "/api/v1/groups/south/devices", &join);
    assert!(widened.is_err());

    // Of the events, those of its devices.
    let (seen, see) = std::sync::mpsc::channel();
    std::thread::spawn(move || south.follow("/api/v1/events", |_, data| seen.send(data.to_owned()).is_ok()));
    let mut told = String::new();
    let mut number = 10;
    wait_until("an event of s-1", || {
        for name in ["n-1", "s-1"] {
            number += 1;
            socket.send_to(&register_request(name, number, b"t"), &server.coap).unwrap();
        }
        told.extend(see.recv_timeout(std::time::Duration::from_millis(200)));
        told.contains("s-1")
    });
    told.extend(see.try_iter());
    assert!(!told.contains("n-1"), "{told}");
}
