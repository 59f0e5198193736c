//! LwM2M JSON of 1.0.

use super::*;

const FORMAT: ContentFormat = ContentFormat::LWM2M_JSON;

#[test]
fn int_204_the_example_of_the_specification_is_read() {
    let payload =
        br#"{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"9","v":100},
            {"n":"13","v":1367491215},{"n":"16","sv":"U"}]}"#;
    assert_eq!(
        paths_of(FORMAT, "/3/0", payload).unwrap(),
        ["/3/0/0", "/3/0/6/0", "/3/0/9", "/3/0/13", "/3/0/16"]
    );
}

#[test]
fn the_base_name_may_come_last_or_not_at_all() {
    let last = br#"{"e":[{"n":"9","v":1}],"bt":0,"bn":"/3/0/"}"#;
    assert_eq!(paths_of(FORMAT, "/3/0", last).unwrap(), ["/3/0/9"]);
    assert_eq!(paths_of(FORMAT, "/3/0", br#"{"e":[{"n":"9","v":1}]}"#).unwrap(), ["/3/0/9"]);
    assert_eq!(paths_of(FORMAT, "/3/0/9", br#"{"e":[{"v":1}]}"#).unwrap(), ["/3/0/9"]);
    assert_eq!(paths_of(FORMAT, "/3", br#"{"e":[{"n":"/3/0/9","v":1}]}"#).unwrap(), ["/3/0/9"]);
}

#[test]
fn every_type_has_its_member() {
    let text = encoded_text(
        FORMAT,
        "/9/0",
        &[
            ("/9/0/1", Value::String("a\"\\\n")),
            ("/9/0/2", Value::Integer(-1)),
            ("/9/0/3", Value::Boolean(true)),
            ("/9/0/4", Value::Opaque(&[1, 2])),
            ("/9/0/5", Value::ObjectLink(ObjectLink { object: 3, instance: 0 })),
            ("/9/0/6/1", Value::Float(0.5)),
        ],
    );
    let expected = concat!(
        r#"{"bn":"/9/0/","e":[{"n":"1","sv":"a\"\\\n"},{"n":"2","v":-1},{"n":"3","bv":true},"#,
        r#"{"n":"4","sv":"AQI="},{"n":"5","ov":"3:0"},{"n":"6/1","v":0.5}]}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn what_is_malformed_is_refused() {
    for payload in [
        "",
        "[]",
        "{}",
        r#"{"e":{}}"#,
        r#"{"e":[1]}"#,
        r#"{"bn":1,"e":[]}"#,
        r#"{"e":[]}x"#,
        r#"{"bn":"/3/0/","e":[{"n":"x","v":1}]}"#,
        r#"{"bn":"/3/0/","e":[{"n":"9","v":1,"sv":"2"}]}"#,
        r#"{"bn":"/4/","e":[{"n":"0","v":1}]}"#,
        r#"{"e":[],"e":[]}"#,
        r#"{"e":[{"n":"9","v":{}}]}"#,
    ] {
        assert!(items(FORMAT, "/3/0", payload.as_bytes()).is_err(), "{payload}");
    }
}
