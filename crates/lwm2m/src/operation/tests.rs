//! Requests and responses from one side to the other, and what is refused on the way.

use super::*;
use crate::attributes::{AttributeError, AttributeName, AttributeUpdate, Attributes};
use crate::path::{Level, Path};
use buoy_coap::number::OptionNumber;
use proptest::prelude::*;

type Options = Vec<(OptionNumber, Vec<u8>)>;

const SENML: ContentFormat = ContentFormat::SENML_JSON;
const CONTENT: Content<'static> = Content { format: SENML, payload: b"[]" };

fn owned(hand_out: impl FnOnce(&mut dyn FnMut(OptionNumber, &[u8]))) -> Options {
    let mut options = Options::new();
    hand_out(&mut |number, value| options.push((number, value.to_vec())));
    options
}

fn borrowed(options: &Options) -> impl Iterator<Item = (OptionNumber, &[u8])> + Clone {
    options.iter().map(|(number, value)| (*number, value.as_slice()))
}

fn option(number: OptionNumber, value: &[u8]) -> (OptionNumber, Vec<u8>) {
    (number, value.to_vec())
}

/// The options of a target as in `/3/0?pmin=10`.
fn target(text: &str) -> Options {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path = path.split('/').filter(|segment| !segment.is_empty());
    let path = path.map(|segment| option(OptionNumber::URI_PATH, segment.as_bytes()));
    let query = query.split('&').filter(|query| !query.is_empty());
    path.chain(query.map(|query| option(OptionNumber::URI_QUERY, query.as_bytes()))).collect()
}

fn with(mut options: Options, number: OptionNumber, value: &[u8]) -> Options {
    options.push(option(number, value));
    options
}

fn formatted(text: &str, format: ContentFormat) -> Options {
    with(target(text), OptionNumber::CONTENT_FORMAT, &format.0.to_be_bytes())
}

fn assert_ascending(options: &Options) {
    assert!(options.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{options:?}");
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn text(text: &str) -> ShortText<'_> {
    ShortText::new(text).unwrap()
}

mod downlink {
    use super::*;

    fn refusal(code: Code, options: &Options, payload: &[u8]) -> BadRequest {
        Downlink::parse(code, borrowed(options), payload).unwrap_err()
    }

    #[test]
    fn every_request_of_a_server_arrives_as_it_was_sent() {
        let accept = Some(SENML);
        let attributes =
            Attributes { pmin: Some(1), gt: Some(-2.5), con: Some(true), ..Attributes::default() };
        let update = AttributeUpdate::setting(&attributes).clear(AttributeName::MaximumPeriod);
        for request in [
            Downlink::Discover { path: path("/3"), depth: None },
            Downlink::Discover { path: path("/3/0/7"), depth: Some(2) },
            Downlink::Read { path: path("/3/0"), accept },
            Downlink::Read { path: path("/3/0/7/1"), accept: None },
            Downlink::ReadComposite { paths: CONTENT, accept },
            Downlink::Write { path: path("/1/0"), mode: WriteMode::Replace, content: CONTENT },
            Downlink::Write { path: path("/1/0"), mode: WriteMode::PartialUpdate, content: CONTENT },
            Downlink::Write { path: path("/1/0/1"), mode: WriteMode::Replace, content: CONTENT },
            Downlink::Write { path: path("/1/0/1"), mode: WriteMode::PartialUpdate, content: CONTENT },
            Downlink::Write { path: path("/3/0/7/1"), mode: WriteMode::Replace, content: CONTENT },
            Downlink::WriteComposite { content: CONTENT },
            Downlink::WriteAttributes { path: path("/3303/0/5700"), update },
            Downlink::Execute { path: path("/3/0/4"), arguments: "" },
            Downlink::Execute { path: path("/3/0/4"), arguments: "0='a'" },
            Downlink::Create { path: path("/3303"), content: CONTENT },
            Downlink::Delete { path: path("/3303/0") },
            Downlink::Delete { path: path("/3/0/7/1") },
            Downlink::Observe { path: path("/3/0/9"), accept, attributes },
            Downlink::CancelObserve { path: path("/3/0/9"), accept },
            Downlink::ObserveComposite { paths: CONTENT, accept, attributes },
            Downlink::CancelObserveComposite { paths: CONTENT, accept },
        ] {
            let options = owned(|each| request.each_option(each));
            assert_ascending(&options);
            assert_eq!(Downlink::parse(request.code(), borrowed(&options), request.payload()), Ok(request));
            assert!(request.code().is_request());
        }
    }

    #[test]
    fn options_say_what_the_specification_says() {
        let request = Downlink::Observe {
            path: path("/3/0/9"),
            accept: Some(SENML),
            attributes: Attributes::default(),
        };
        let expected: Options = vec![
            option(OptionNumber::OBSERVE, b""),
            option(OptionNumber::URI_PATH, b"3"),
            option(OptionNumber::URI_PATH, b"0"),
            option(OptionNumber::URI_PATH, b"9"),
            option(OptionNumber::ACCEPT, &[110]),
        ];
        assert_eq!(owned(|each| request.each_option(each)), expected);
        let update = AttributeUpdate::parse(["pmin=10", "pmax"]).unwrap();
        let request = Downlink::WriteAttributes { path: path("/3"), update };
        assert_eq!(owned(|each| request.each_option(each)), target("/3?pmin=10&pmax"));
        let write = Downlink::Create {
            path: path("/3"),
            content: Content { format: ContentFormat::TLV, payload: b"" },
        };
        assert_eq!(owned(|each| write.each_option(each)), formatted("/3", ContentFormat::TLV));
    }

    #[test]
    fn objects_may_lie_below_another_root() {
        let request = Downlink::Read { path: path("/3/0"), accept: None };
        assert_eq!(owned(|each| request.each_option_under("/lwm2m/x", each)), target("/lwm2m/x/3/0"));
        assert_eq!(owned(|each| request.each_option_under("/", each)), target("/3/0"));
    }

    #[test]
    fn int_261_a_put_without_payload_writes_attributes_unless_it_says_its_format() {
        let options = target("/3/0/9?pmin=10");
        let attributes = Downlink::parse(Code::PUT, borrowed(&options), b"");
        assert!(matches!(attributes, Ok(Downlink::WriteAttributes { .. })));
        let options = formatted("/5/0/1", ContentFormat::TEXT);
        let empty = Downlink::parse(Code::PUT, borrowed(&options), b"");
        assert!(matches!(empty, Ok(Downlink::Write { mode: WriteMode::Replace, .. })));
        assert_eq!(
            refusal(Code::PUT, &target("/3303/0?gt=1"), b""),
            BadRequest::Attribute(AttributeError::NotAtLevel(
                AttributeName::GreaterThan,
                Level::ObjectInstance
            ))
        );
    }

    #[test]
    fn a_post_at_a_resource_executes_text_and_writes_the_rest() {
        let text = formatted("/3/0/7", ContentFormat::TEXT);
        assert!(matches!(Downlink::parse(Code::POST, borrowed(&text), b"0"), Ok(Downlink::Execute { .. })));
        let tlv = formatted("/3/0/7", ContentFormat::TLV);
        let write = Downlink::parse(Code::POST, borrowed(&tlv), b"x");
        assert!(matches!(write, Ok(Downlink::Write { mode: WriteMode::PartialUpdate, .. })));
    }

    #[test]
    fn what_is_refused_knows_its_code() {
        for (code, options, payload, answer) in [
            (Code::GET, target("/abc"), &b""[..], Code::NOT_FOUND),
            (Code::GET, target("/1/2/3/4/5"), b"", Code::NOT_FOUND),
            (Code::GET, target("/65535"), b"", Code::NOT_FOUND),
            (Code::GET, target("/1/2/3/4/5/6/7/8/9"), b"", Code::BAD_REQUEST),
            (Code::GET, target("/"), b"", Code::METHOD_NOT_ALLOWED),
            (Code::DELETE, target("/"), b"", Code::METHOD_NOT_ALLOWED),
            (Code::DELETE, target("/3"), b"", Code::METHOD_NOT_ALLOWED),
            (Code::DELETE, target("/3/0/9"), b"", Code::METHOD_NOT_ALLOWED),
            (Code::FETCH, target("/3"), b"x", Code::METHOD_NOT_ALLOWED),
            (Code::PATCH, target("/"), b"x", Code::METHOD_NOT_ALLOWED),
            (Code::PUT, formatted("/3", SENML), b"x", Code::METHOD_NOT_ALLOWED),
            (Code::PUT, target("/3/0"), b"x", Code::BAD_REQUEST),
            (Code::PUT, target("/3/0?pmin=x"), b"", Code::BAD_REQUEST),
            (Code::PUT, target("/3/0?nothing=1"), b"", Code::BAD_REQUEST),
            (Code::POST, target("/3303"), b"x", Code::BAD_REQUEST),
            (Code::POST, target("/3/0/7/1"), b"x", Code::METHOD_NOT_ALLOWED),
            (Code::POST, target("/3/0/4"), &[0xff], Code::BAD_REQUEST),
            (Code::FETCH, target("/"), b"x", Code::BAD_REQUEST),
            (Code::IPATCH, target("/"), b"x", Code::BAD_REQUEST),
            (Code::GET, with(target("/3"), OptionNumber(9999), b""), b"", Code::BAD_OPTION),
            (Code::GET, with(target("/3"), OptionNumber::IF_MATCH, b"x"), b"", Code::BAD_OPTION),
            (Code::GET, with(target("/3"), OptionNumber::ACCEPT, &[1, 0, 0]), b"", Code::BAD_OPTION),
            (Code::GET, with(target("/3"), OptionNumber::ACCEPT, &[0; 5]), b"", Code::BAD_OPTION),
            (Code::GET, with(target("/3"), OptionNumber::URI_QUERY, &[0xff]), b"", Code::BAD_REQUEST),
        ] {
            assert_eq!(refusal(code, &options, payload).code(), answer, "{code} {options:?}");
        }
    }

    #[test]
    fn options_that_belong_to_coap_are_passed_over() {
        let options = with(target("/3"), OptionNumber::BLOCK2, &[6]);
        let options = with(options, OptionNumber::SIZE2, &[]);
        assert!(Downlink::parse(Code::GET, borrowed(&options), b"").is_ok());
    }

    #[test]
    fn the_longest_thresholds_still_fit_into_an_option() {
        for number in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -5e-324, 0.1] {
            let attributes = Attributes { gt: Some(number), ..Attributes::default() };
            let path = path("/3/0/9");
            let request = Downlink::WriteAttributes { path, update: AttributeUpdate::setting(&attributes) };
            assert!(owned(|each| request.each_option(each)).iter().all(|(_, value)| value.len() <= 255));
        }
    }
}

mod bootstrap {
    use super::*;

    #[test]
    fn every_request_of_a_bootstrap_server_arrives_as_it_was_sent() {
        for request in [
            BootstrapDownlink::Discover { path: Path::ROOT },
            BootstrapDownlink::Discover { path: path("/0") },
            BootstrapDownlink::Read { path: path("/1"), accept: Some(SENML) },
            BootstrapDownlink::Read { path: path("/2/0"), accept: None },
            BootstrapDownlink::Write { path: path("/0"), content: CONTENT },
            BootstrapDownlink::Write { path: path("/0/0"), content: CONTENT },
            BootstrapDownlink::Write { path: path("/0/0/1"), content: CONTENT },
            BootstrapDownlink::Delete { path: Path::ROOT },
            BootstrapDownlink::Delete { path: path("/0/1") },
            BootstrapDownlink::Finish,
        ] {
            let options = owned(|each| request.each_option(each));
            assert_ascending(&options);
            assert_eq!(
                BootstrapDownlink::parse(request.code(), borrowed(&options), request.payload()),
                Ok(request)
            );
        }
    }

    #[test]
    fn int_221_keys_and_values_of_the_device_are_not_for_reading() {
        for (code, options) in [
            (Code::GET, target("/0")),
            (Code::GET, target("/3/0")),
            (Code::GET, target("/1/0/1")),
            (Code::POST, target("/1/0")),
            (Code::GET, target("/bs")),
            (Code::DELETE, target("/1/0/1")),
            (Code::PUT, formatted("/", SENML)),
        ] {
            let refusal = BootstrapDownlink::parse(code, borrowed(&options), b"x").unwrap_err();
            assert_eq!(refusal.code(), Code::METHOD_NOT_ALLOWED, "{code} {options:?}");
        }
    }
}

mod uplink {
    use super::*;

    fn refusal(code: Code, options: &Options, payload: &[u8]) -> BadRequest {
        Uplink::parse(code, borrowed(options), payload).unwrap_err()
    }

    #[test]
    fn every_request_of_a_device_arrives_as_it_was_sent() {
        let location = Location::parse("/rd/5a3f").unwrap();
        let extra = ExtraAttributes::default().with("site=north").unwrap().with("flag").unwrap();
        let register = Register {
            binding: Some("UT".parse().unwrap()),
            queue: true,
            sms: Some(text("+491234")),
            extra,
            ..Register::new(text("urn:imei:1"), 300, LwM2mVersion::V1_1, b"</3/0>")
        };
        let update = Update {
            lifetime: Some(60),
            binding: Some(Binding::UDP),
            sms: Some(text("1")),
            extra,
            objects: Some(b"</1/0>"),
            ..Update::new(location)
        };
        let endpoint = Some(text("buoy-1"));
        for request in [
            Uplink::Register(register),
            Uplink::Register(Register { endpoint: None, lifetime: None, ..register }),
            Uplink::Update(update),
            Uplink::Update(Update::new(location)),
            Uplink::Deregister { location },
            Uplink::Send { content: CONTENT },
            Uplink::BootstrapRequest { endpoint, preferred_format: Some(ContentFormat::SENML_CBOR) },
            Uplink::BootstrapRequest { endpoint: None, preferred_format: None },
            Uplink::BootstrapPackRequest { endpoint, accept: Some(ContentFormat::SENML_CBOR) },
        ] {
            let options = owned(|each| request.each_option(each));
            assert_ascending(&options);
            assert_eq!(Uplink::parse(request.code(), borrowed(&options), request.payload()), Ok(request));
        }
    }

    #[test]
    fn int_101_a_registration_says_what_the_specification_says() {
        let register = Register::new(text("buoy-1"), 300, LwM2mVersion::V1_0, b"</3/0>");
        let register = Register { binding: Some(Binding::UDP.with_queue_flag()), ..register };
        let mut expected = target("/rd?ep=buoy-1&lt=300&lwm2m=1.0&b=UQ");
        expected.insert(1, option(OptionNumber::CONTENT_FORMAT, &[40]));
        assert_eq!(owned(|each| Uplink::Register(register).each_option(each)), expected);
        assert!(register.is_queue_mode());
    }

    #[test]
    fn what_is_refused_knows_its_code() {
        for (code, options, answer) in [
            (Code::POST, target("/rd?ep=a&lt=1&lwm2m=1.3"), Code::PRECONDITION_FAILED),
            (Code::POST, target("/rd?ep=a&lt=1"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=a&ep=b&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=a&lt=x&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=a&lt=+1&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=a&lt=4294967296&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?ep=a&b=Z&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::POST, target("/rd?1&2&3&4&5&6&7&8&9&lwm2m=1.0"), Code::BAD_REQUEST),
            (Code::GET, target("/rd"), Code::METHOD_NOT_ALLOWED),
            (Code::DELETE, target("/rd"), Code::METHOD_NOT_ALLOWED),
            (Code::GET, target("/bs"), Code::METHOD_NOT_ALLOWED),
            (Code::POST, target("/bspack"), Code::METHOD_NOT_ALLOWED),
            (Code::POST, target("/dp"), Code::BAD_REQUEST),
            (Code::POST, formatted("/dp", ContentFormat::TLV), Code::UNSUPPORTED_CONTENT_FORMAT),
            (Code::POST, formatted("/rd", ContentFormat::TLV), Code::UNSUPPORTED_CONTENT_FORMAT),
            (Code::POST, formatted("/rd/1", ContentFormat::TLV), Code::UNSUPPORTED_CONTENT_FORMAT),
            (Code::POST, target("/elsewhere"), Code::NOT_FOUND),
            (Code::POST, target("/"), Code::NOT_FOUND),
            (Code::POST, target("/rd/1/2/3/4"), Code::NOT_FOUND),
        ] {
            assert_eq!(refusal(code, &options, b"x").code(), answer, "{code} {options:?}");
        }
    }

    #[test]
    fn a_list_of_objects_that_calls_itself_text_or_nothing_is_read_as_links() {
        let queries = target("/rd?ep=buoy-1&lt=60&lwm2m=1.1");
        for format in [None, Some(ContentFormat::LINK), Some(ContentFormat::TEXT)] {
            let said = |path: &str| format.map_or_else(|| target(path), |format| formatted(path, format));
            let register = [said("/rd"), queries[1..].to_vec()].concat();
            let mut register = register;
            register.sort_by_key(|(number, _)| *number);
            let parsed = Uplink::parse(Code::POST, borrowed(&register), b"</3/0>");
            assert!(
                matches!(parsed, Ok(Uplink::Register(Register { objects: b"</3/0>", .. }))),
                "{parsed:?}"
            );
            let update = said("/rd/5a3f");
            let parsed = Uplink::parse(Code::POST, borrowed(&update), b"</3/0>");
            assert!(
                matches!(parsed, Ok(Uplink::Update(Update { objects: Some(b"</3/0>"), .. }))),
                "{parsed:?}"
            );
        }
    }

    #[test]
    fn a_name_that_fills_an_option_is_sent_whole() {
        let name = "n".repeat(ShortText::MAX_LEN);
        let request = Uplink::BootstrapRequest { endpoint: Some(text(&name)), preferred_format: None };
        let options = owned(|each| request.each_option(each));
        assert_eq!(Uplink::parse(Code::POST, borrowed(&options), b""), Ok(request));
        assert_eq!(ShortText::new(&"n".repeat(252)), None);
        assert_eq!(ShortText::new(""), None);
    }
}

mod responses {
    use super::*;

    fn parse(
        operation: Operation,
        code: Code,
        options: &Options,
        payload: &[u8],
    ) -> Result<Code, BadResponse> {
        Response::parse(operation, code, borrowed(options), payload).map(|response| response.code)
    }

    #[test]
    fn every_response_arrives_as_it_was_sent() {
        for (operation, response) in [
            (Operation::Register, Response::created(Location::parse("/rd/5a3f").unwrap())),
            (Operation::Create, Response::of(Code::CREATED)),
            (Operation::Read, Response::content(CONTENT)),
            (Operation::Observe, Response::notification(0x1234, CONTENT)),
            (Operation::Write, Response::of(Code::CHANGED)),
            (Operation::Delete, Response::of(Code::DELETED)),
            (Operation::Execute, Response::error(Code::BAD_REQUEST, "no such argument")),
        ] {
            let options = owned(|each| response.each_option(each));
            assert_ascending(&options);
            let read = Response::parse(operation, response.code, borrowed(&options), response.payload);
            assert_eq!(read, Ok(response));
        }
    }

    #[test]
    fn a_created_instance_says_where_it_lives() {
        let response = Response::created(Location::of_path(path("/3303/2")));
        let options = owned(|each| response.each_option(each));
        let read = Response::parse(Operation::Create, response.code, borrowed(&options), b"").unwrap();
        assert_eq!(read.location.unwrap().path(), Some(path("/3303/2")));
    }

    #[test]
    fn a_success_has_to_be_that_of_its_operation() {
        let none = Options::new();
        let unexpected = |operation, code| Err(BadResponse::PeerSentUnexpectedCode { operation, code });
        assert_eq!(
            parse(Operation::Write, Code::CONTENT, &none, b""),
            unexpected(Operation::Write, Code::CONTENT)
        );
        assert_eq!(parse(Operation::Read, Code::GET, &none, b""), unexpected(Operation::Read, Code::GET));
        assert_eq!(
            parse(Operation::Register, Code::CREATED, &none, b""),
            Err(BadResponse::PeerSentNoLocation)
        );
        assert_eq!(
            parse(Operation::Read, Code::CONTENT, &none, b"x"),
            Err(BadResponse::PeerSentNoContentFormat)
        );
        assert_eq!(parse(Operation::Read, Code::new(4, 31), &none, b""), Ok(Code::new(4, 31)));
        let critical = vec![option(OptionNumber(9999), b"")];
        assert_eq!(
            parse(Operation::Write, Code::CHANGED, &critical, b""),
            Err(BadResponse::PeerSentBadOption)
        );
    }

    #[test]
    fn errors_may_say_why() {
        let error = Response::error(Code::NOT_FOUND, "no such resource");
        assert_eq!(error.diagnostic(), Some("no such resource"));
        assert_eq!(Response::content(CONTENT).diagnostic(), None);
    }
}

fn any_options() -> impl Strategy<Value = Options> {
    let number = prop::sample::select(vec![1_u16, 3, 6, 8, 11, 11, 11, 12, 15, 15, 17, 23, 60, 2049]);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        prop::sample::select(vec![
            "3",
            "0",
            "rd",
            "bs",
            "dp",
            "pmin=1",
            "ep=x",
            "lwm2m=1.1",
            "lt=5",
            "b=U",
            "Q",
            "\0n"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((number.prop_map(OptionNumber), value), 0..12)
}

proptest! {
    #[test]
    fn no_message_makes_a_parser_panic(code: u8, options in any_options(), payload in prop::collection::vec(any::<u8>(), 0..8)) {
        let code = Code::from_byte(code);
        let _ = Downlink::parse(code, borrowed(&options), &payload);
        let _ = BootstrapDownlink::parse(code, borrowed(&options), &payload);
        let _ = Uplink::parse(code, borrowed(&options), &payload);
        let _ = Response::parse(Operation::Read, code, borrowed(&options), &payload);
    }

    #[test]
    fn what_is_understood_is_sent_again_the_same(method in 1..=7_u8, options in any_options(), payload in prop::collection::vec(any::<u8>(), 0..8)) {
        let code = Code::from_byte(method);
        if let Ok(request) = Downlink::parse(code, borrowed(&options), &payload) {
            let sent = owned(|each| request.each_option(each));
            prop_assert_eq!(Downlink::parse(request.code(), borrowed(&sent), request.payload()), Ok(request));
        }
        if let Ok(request) = Uplink::parse(code, borrowed(&options), &payload) {
            let sent = owned(|each| request.each_option(each));
            prop_assert_eq!(Uplink::parse(request.code(), borrowed(&sent), request.payload()), Ok(request));
        }
    }
}
