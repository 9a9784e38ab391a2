//! Who may ask: the names that a request gives, where it comes from, and what it brings.

use crate::{
    options::Options,
    refusal::{Outcome, Refusal},
};
use axum::{
    extract::Request,
    http::{
        Method, StatusCode, Uri,
        header::{AUTHORIZATION, HOST, ORIGIN},
    },
};
use std::net::IpAddr;

/// What needs no token: it says nothing of the models.
const OPEN: [&str; 4] = ["/", "/page.css", "/page.js", "/health"];

/// Refuses requests that a page of another site may have sent, by a name of its own that leads here or in its own name, and
/// those that lack the token.
pub(crate) fn check(request: &Request, options: &Options) -> Outcome<()> {
    let is_asking = matches!(*request.method(), Method::GET | Method::HEAD);
    check_site(request, options.host, !is_asking)?;
    match &options.token {
        Some(token) if !OPEN.contains(&request.uri().path()) => check_token(request, token),
        _ => Ok(()),
    }
}

/// Refuses requests that come by a name which is not this machine's, where it listens to itself alone, and, `by_origin`, those
/// of other sites' pages.
pub(crate) fn check_site(request: &Request, own: IpAddr, by_origin: bool) -> Outcome<()> {
    let refused = |sentence: String| Err(Refusal::new(StatusCode::FORBIDDEN, sentence));
    let headers = request.headers();
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    let host = match hosts[..] {
        [host] => host.to_str().ok(),
        _ => None,
    };
    let Some(host) = host else {
        return Err(Refusal::malformed(
            "a request must name its host in one header Host",
        ));
    };
    if own.is_loopback() {
        let asked = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        for name in [Some(host), asked].into_iter().flatten() {
            if !is_loopback(name, own) {
                return refused(format!(
                    "this server answers to localhost, 127.0.0.1 and [::1], not to {name:?}"
                ));
            }
        }
    }
    if by_origin && let Some(origin) = headers.get(ORIGIN) {
        let same = |origin: &str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        };
        if !origin.to_str().is_ok_and(same) {
            return refused("pages of other sites may not ask this server".into());
        }
    }
    Ok(())
}

/// Refuses requests that do not bring the token.
pub(crate) fn check_token(request: &Request, token: &str) -> Outcome<()> {
    let given = request.headers().get(AUTHORIZATION);
    let given = given.and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
    match given.is_some_and(|given| is_same(given.trim(), token)) {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "this server needs its token: Authorization: Bearer TOKEN",
        )),
    }
}

/// Whether a host, perhaps with a port, is a name of this machine for itself, or the address that is listened on.
fn is_loopback(authority: &str, own: IpAddr) -> bool {
    let Ok(uri) = authority.parse::<Uri>() else {
        return false;
    };
    let is_whole = |authority: &axum::http::uri::Authority| !authority.as_str().contains('@');
    let Some(host) = uri.authority().filter(|a| is_whole(a)).map(|a| a.host()) else {
        return false;
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || (bare.unwrap_or(host))
            .parse()
            .is_ok_and(|ip: IpAddr| ip == own || ["127.0.0.1", "::1"].contains(&&*ip.to_string()))
}

/// Whether two texts are the same, in a time that tells nothing of where they differ.
fn is_same(a: &str, b: &str) -> bool {
    let differing = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::request::Builder};

    fn status(options: &Options, request: Builder) -> u16 {
        let request = request.body(Body::empty()).unwrap();
        check(&request, options).map_or_else(|e| e.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        let options = Options::default();
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST:8080", 200),
            ("127.0.0.1:1", 200),
            ("[::1]:8080", 200),
            ("127.0.0.1.example.org", 403),
            ("localhost.example.org:8080", 403),
            ("example.org", 403),
            ("localhost@example.org", 403),
            ("example.org@localhost", 403),
            ("127.0.0.2", 403),
            ("0.0.0.0", 403),
            ("", 403),
        ] {
            let request = Request::get("/predict").header(HOST, host);
            assert_eq!(status(&options, request), expected, "{host}");
        }
        let absolute = Request::get("http://example.org/").header(HOST, "localhost");
        assert_eq!(status(&options, absolute), 403);
        assert_eq!(status(&options, Request::get("/")), 400);
        let twice = Request::get("/").header(HOST, "localhost");
        assert_eq!(status(&options, twice.header(HOST, "example.org")), 400);
    }

    #[test]
    fn pages_of_other_sites_cannot_post() {
        let options = Options::default();
        for (origin, expected) in [
            ("http://localhost:8080", 200),
            ("http://localhost:9090", 403),
            ("https://example.org", 403),
            ("null", 403),
        ] {
            let post = Request::post("/predict").header(HOST, "localhost:8080");
            let status = status(&options, post.header(ORIGIN, origin));
            assert_eq!(status, expected, "{origin}");
        }
    }

    #[test]
    fn a_token_is_needed_where_there_is_one() {
        let options = Options {
            host: [0, 0, 0, 0].into(),
            token: Some("secret".into()),
            ..Options::default()
        };
        let get = |path: &str| Request::get(path).header(HOST, "box.example.org");
        assert_eq!(status(&options, get("/health")), 200);
        assert_eq!(status(&options, get("/models")), 401);
        for (given, expected) in [
            ("Bearer secret", 200),
            ("Bearer secre", 401),
            ("Bearer secrets", 401),
            ("secret", 401),
        ] {
            let request = get("/models").header(AUTHORIZATION, given);
            assert_eq!(status(&options, request), expected, "{given}");
        }
    }
}
