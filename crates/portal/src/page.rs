//! The page: a form without scripts, and where each path leads.

use core::fmt::{self, Write};

use crate::form::Form;
use crate::http::{Method, Request, Status};
use crate::setup::{Mistake, Setup};
use crate::text::Text;

/// Networks that the page lists.
pub const NETWORKS: usize = 16;

/// A network that the radio has heard.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Its name, which strangers choose.
    pub name: Text<32>,
    /// Its strength in dBm.
    pub strength: i8,
    /// Whether anybody may join.
    pub is_open: bool,
}

/// What the page shows besides the form.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The device's own address, to which everything leads.
    pub address: [u8; 4],
    /// The endpoint name that is proposed.
    pub endpoint: &'a str,
    /// What the radio has heard.
    pub networks: &'a [Network],
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nothing to box it with")]
pub enum Reply {
    /// The form.
    Form(Option<Mistake>),
    /// The settings are good: save them, then answer.
    Save(Setup),
    /// The settings are good, and the device could not keep them.
    NotSaved,
    /// Anything that is not the page leads to it: so phones open it by themselves.
    Elsewhere,
    /// The request is refused.
    Refused(Status),
}

/// What a request comes to.
#[must_use]
pub fn reply(request: &Request<'_>) -> Reply {
    match (request.method, request.path) {
        (Method::Get | Method::Head, "/") => Reply::Form(None),
        (Method::Post, "/save") => match Setup::from_form(Form(request.body)) {
            Ok(setup) => Reply::Save(setup),
            Err(mistake) => Reply::Form(Some(mistake)),
        },
        (Method::Post, _) => Reply::Refused(Status::MethodNotAllowed),
        (Method::Get | Method::Head, _) => Reply::Elsewhere,
    }
}

impl Reply {
    /// Writes the whole answer. The connection is closed behind it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, shown: &Shown<'_>, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Form(mistake) => {
                head(out, if mistake.is_some() { "422 Unprocessable Content" } else { "200 OK" })?;
                form(shown, *mistake, out)
            }
            Self::Save(setup) => {
                head(out, "200 OK")?;
                begin(out)?;
                out.write_str("<h1>Saved</h1><p>The device now joins <b>")?;
                escaped(setup.network.as_str(), out)?;
                out.write_str("</b> and calls its server as <b>")?;
                escaped(setup.endpoint.as_str(), out)?;
                out.write_str("</b>. If it can't join for five minutes, it opens this network again.</p>")
            }
            Self::NotSaved => {
                head(out, "500 Internal Server Error")?;
                begin(out)?;
                out.write_str(
                    "<h1>Not saved</h1><p>The memory of the device failed. <a href=\"/\">Try again</a></p>",
                )
            }
            Self::Elsewhere => {
                let [a, b, c, d] = shown.address;
                write!(
                    out,
                    "HTTP/1.1 302 Found\r\nLocation: http://{a}.{b}.{c}.{d}/\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
                )
            }
            Self::Refused(status) => {
                head(out, status.line())?;
                begin(out)?;
                write!(out, "<h1>{}</h1><p><a href=\"/\">Back to the form</a></p>", status.line())
            }
        }
    }
}

fn head(out: &mut impl Write, status: &str) -> fmt::Result {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'\r\nConnection: close\r\n\r\n"
    )
}

fn begin(out: &mut impl Write) -> fmt::Result {
    out.write_str(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Set up this device</title><style>body{font:1em/1.5 sans-serif;max-width:28em;margin:1em auto;padding:0 1em}\
         label{display:block;margin-top:1em}input,select,button{font:inherit;width:100%;box-sizing:border-box;padding:.5em}\
         button{margin-top:1.5em}small{color:#555}.wrong{border-left:.3em solid #b00;padding-left:.7em}</style>",
    )
}

fn form(shown: &Shown<'_>, mistake: Option<Mistake>, out: &mut impl Write) -> fmt::Result {
    begin(out)?;
    out.write_str("<h1>Set up this device</h1>")?;
    if let Some(Mistake { field, why }) = mistake {
        write!(out, "<p class=wrong role=alert>The field “{}” {why}. Nothing was saved.</p>", field.name())?;
    }
    out.write_str("<form method=post action=/save><label>Network<select name=choice>")?;
    if shown.networks.is_empty() {
        out.write_str("<option value=\"\">none was heard</option>")?;
    }
    for network in shown.networks.iter().take(NETWORKS) {
        out.write_str("<option value=\"")?;
        escaped(network.name.as_str(), out)?;
        out.write_str("\">")?;
        escaped(network.name.as_str(), out)?;
        write!(out, " ({} dBm{})</option>", network.strength, if network.is_open { ", open" } else { "" })?;
    }
    out.write_str(
        "</select></label><label>or its name<input name=network maxlength=32 autocapitalize=none></label>\
         <label>Password<input name=password type=password maxlength=63 autocomplete=off></label>\
         <label>Server<input name=server maxlength=120 required autocapitalize=none placeholder=\"coaps://lwm2m.example.org:5684\"></label>\
         <label>It is<select name=role><option value=server>the LwM2M server</option><option value=bootstrap>a bootstrap server</option></select></label>\
         <label>Endpoint name<input name=endpoint maxlength=64 required autocapitalize=none value=\"",
    )?;
    escaped(shown.endpoint, out)?;
    out.write_str(
        "\"></label><label>Key or claim code<input name=key type=password maxlength=128 autocomplete=off></label>\
         <label>Identity of the key<input name=identity maxlength=64 autocapitalize=none></label>\
         <small>Without an identity the endpoint name is used.</small>\
         <label>Time server<input name=time maxlength=64 autocapitalize=none value=\"pool.ntp.org\"></label>\
         <label>Between its contacts the device<select name=sleeps><option value=0>listens</option><option value=1>sleeps, to save its battery</option></select></label>\
         <button>Save</button></form>",
    )
}

/// Text in HTML. Characters that are not shown, or that turn the text round, are shown as one that says so.
fn escaped(text: &str, out: &mut impl Write) -> fmt::Result {
    text.chars().try_for_each(|letter| match letter {
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        '"' => out.write_str("&quot;"),
        '\'' => out.write_str("&#39;"),
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => {
            out.write_char(char::REPLACEMENT_CHARACTER)
        }
        letter if letter.is_control() => out.write_char(char::REPLACEMENT_CHARACTER),
        letter => out.write_char(letter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Arrived, Incoming};

    fn answer(request: &[u8], name: &str) -> String {
        let network = Network { name: Text::new(name).unwrap(), strength: -61, is_open: false };
        let shown = Shown { address: [192, 168, 4, 1], endpoint: "buoy-a1b2", networks: &[network] };
        let mut incoming = Incoming::new();
        let reply = match incoming.push(request) {
            Arrived::Whole(request) => reply(&request),
            Arrived::Refused(status) => Reply::Refused(status),
            Arrived::Part => panic!("a part of a request"),
        };
        let mut out = String::new();
        reply.write(&shown, &mut out).unwrap();
        out
    }

    fn post(body: &str) -> Vec<u8> {
        format!("POST /save HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn the_probes_of_phones_lead_to_the_form() {
        for path in [
            "/generate_204",
            "/hotspot-detect.html",
            "/connecttest.txt",
            "/ncsi.txt",
            "/success.txt",
            "/favicon.ico",
        ] {
            let said = answer(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), "n");
            assert!(said.starts_with("HTTP/1.1 302 Found\r\nLocation: http://192.168.4.1/\r\n"), "{path}");
        }
        let said = answer(b"GET /?from=phone HTTP/1.1\r\n\r\n", "Harbour");
        assert!(said.contains("value=\"Harbour\"") && said.contains("value=\"buoy-a1b2\""), "{said}");
        assert!(!said.contains("<script"));
    }

    #[test]
    fn good_settings_are_saved_and_bad_ones_explained() {
        let said = answer(&post("network=Harbour&server=192.0.2.1&endpoint=b"), "n");
        assert!(said.contains("<h1>Saved</h1>"), "{said}");
        let said = answer(&post("network=Harbour&server=192.0.2.1&endpoint="), "n");
        assert!(
            said.starts_with("HTTP/1.1 422 ")
                && said.contains("“endpoint” must not be empty. Nothing was saved"),
            "{said}"
        );
        let said = answer(&post(&format!("network={}", "x".repeat(2000))), "n");
        assert!(said.contains("“network” is too long"), "{said}");
        let long = "x".repeat(10_000);
        assert!(answer(&post(&format!("network={long}")), "n").starts_with("HTTP/1.1 413 "));
    }

    #[test]
    fn names_that_strangers_choose_are_no_html() {
        let said = answer(b"GET / HTTP/1.1\r\n\r\n", "\"><script>alert(1)</script>");
        assert!(
            said.contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;") && !said.contains("<script")
        );
        assert!(answer(b"GET / HTTP/1.1\r\n\r\n", "a\u{202E}b\u{7}").contains("a\u{FFFD}b\u{FFFD}"));
        let said = answer(&post("network=%3Cb%3E&server=192.0.2.1&endpoint=b"), "n");
        assert!(said.contains("&lt;b&gt;"), "{said}");
    }
}
