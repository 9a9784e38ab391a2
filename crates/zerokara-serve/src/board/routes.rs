//! What is answered at which path, and to whom.

use super::{
    BoardOptions,
    chart::{self, Across, Wanted},
    events::Hub,
    page::{self, Page},
    records,
    run::{self, Files, MOST_REPORT, MOST_SETTINGS},
    store::Store,
};
use crate::{
    body, guard,
    refusal::{Outcome, Refusal, json_response},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, put},
};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};
use zerokara_train::{language::Language, readings, report::Report};

/// What needs no token on any address: it says nothing of the runs.
const OPEN: [&str; 4] = ["/", STYLE_PATH, SCRIPT_PATH, "/health"];
const STYLE_PATH: &str = "/board.css";
const SCRIPT_PATH: &str = "/board.js";
/// The most runs that are drawn into one chart.
const MOST_RUNS: usize = 24;
/// The most bytes of a run's readings.
const MOST_READINGS: u64 = 64 << 20;
/// The most layers whose histograms are drawn.
const MOST_LAYERS: usize = 80;
/// The most bytes of what a change brings, and how long it is waited for.
const MOST_BODY: usize = 64 << 10;
const LONGEST: Duration = Duration::from_secs(10);

/// What all requests share.
pub struct Shared {
    store: Store,
    pub hub: Hub,
    page: Page,
    language: Language,
    host: std::net::IpAddr,
    token: String,
}

impl Shared {
    pub fn new(base: PathBuf, options: &BoardOptions) -> Self {
        Self {
            store: Store::new(base),
            hub: Hub::new(),
            page: Page::new(options.language),
            language: options.language,
            host: options.host,
            token: options.token.clone(),
        }
    }

    /// Looks at the folder, and tells all what changed; whether anything did.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn look(&self) -> io::Result<bool> {
        let changes = self.store.look()?;
        if changes.is_empty() {
            return Ok(false);
        }
        self.hub
            .tell(format!("event: runs\ndata: {}\n\n", changes.json()));
        Ok(true)
    }

    fn files(&self, name: &str) -> Outcome<Files> {
        self.store.files(name).ok_or_else(|| {
            let sentence = format!("there is no run {name:?}");
            Refusal::new(StatusCode::NOT_FOUND, sentence)
        })
    }

    /// Who may ask: on this machine's own address all may look, elsewhere those with the token; changes need it everywhere.
    fn check(&self, request: &Request) -> Outcome<()> {
        guard::check_site(request, self.host, true)?;
        let path = request.uri().path();
        // A browser says where a request comes from, also one without an origin: a picture in a page of another site.
        let from = request.headers().get("sec-fetch-site");
        if from.is_some_and(|from| from != "same-origin" && from != "none") && path != "/" {
            let sentence = "pages of other sites may not ask this server";
            return Err(Refusal::new(StatusCode::FORBIDDEN, sentence));
        }
        let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
        let is_open = OPEN.contains(&path) || self.host.is_loopback();
        match is_change || !is_open {
            true => guard::check_token(request, &self.token),
            false => Ok(()),
        }
    }
}

type Asked = State<Arc<Shared>>;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|State(s): Asked| async move { s.page.html() }))
        .route(
            STYLE_PATH,
            get(|State(s): Asked| async move { s.page.style() }),
        )
        .route(
            SCRIPT_PATH,
            get(|State(s): Asked| async move { s.page.script() }),
        )
        .route(
            "/health",
            get(|| async { json_response(StatusCode::OK, &json!({ "status": "ok" })) }),
        )
        .route("/runs", get(runs))
        .route("/events", get(events))
        .route("/chart", get(drawn))
        .route("/runs/{name}", delete(deleted))
        .route("/runs/{name}/tags", put(tagged))
        .route("/runs/{name}/recipe", get(recipe))
        .route("/runs/{name}/report", get(report))
        .route("/runs/{name}/sections", get(sections))
        .route("/runs/{name}/histograms", get(histograms))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

async fn guarded(State(shared): Asked, request: Request, next: Next) -> Response {
    let mut response = match shared.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            body::discard(request.into_body()).await;
            refusal.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

async fn unknown(request: Request) -> Response {
    let path = request.uri().path().to_string();
    body::discard(request.into_body()).await;
    let sentence = format!("there is nothing at {path}");
    Refusal::new(StatusCode::NOT_FOUND, sentence).into_response()
}

async fn wrong_method(request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_string());
    body::discard(request.into_body()).await;
    let sentence = format!("{path} does not answer to {method}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, sentence).into_response()
}

/// Reads or draws on a thread where that may take a while.
async fn aside(work: impl FnOnce() -> Outcome<Response> + Send + 'static) -> Response {
    let broken = |_| {
        let sentence = "what was asked could not be done";
        Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, sentence))
    };
    let done = spawn_blocking(work).await.unwrap_or_else(broken);
    done.unwrap_or_else(IntoResponse::into_response)
}

fn failed(error: io::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn text_response(kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const SVG: &str = "image/svg+xml";

async fn runs(State(shared): Asked) -> Response {
    aside(move || {
        shared.look().map_err(|error| {
            let base = shared.store.base().display().to_string();
            let sentence = format!("cannot read the folder {base}: {error}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
        })?;
        let base = shared.store.base();
        let folder = base.file_name().unwrap_or(base.as_os_str());
        let all = shared.store.summaries();
        let runs: Vec<&Value> = all.iter().map(|summary| &summary.json).collect();
        let all = json!({ "folder": folder.to_string_lossy(), "open": shared.host.is_loopback(), "runs": runs });
        Ok(json_response(StatusCode::OK, &all))
    })
    .await
}

async fn events(State(shared): Asked) -> Response {
    shared.hub.listen().unwrap_or_else(|| {
        let sentence = "too many pages listen, or the board stops";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
    })
}

/// The fields of a question, `run=a&run=b&log=1`.
fn fields(request: &Request) -> Vec<(String, String)> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// Letters for `%C3%A9` and `+`; what is no such sign stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (bytes[at], hex) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// Width and height that were asked for, within what can be looked at.
fn size(fields: &[(String, String)], (width, height): (u32, u32)) -> (u32, u32) {
    let read = |name: &str, usual: u32| {
        let asked = field(fields, name).and_then(|text| text.parse().ok());
        asked.unwrap_or(usual).clamp(160, 2400)
    };
    (read("width", width), read("height", height))
}

async fn drawn(State(shared): Asked, request: Request) -> Response {
    let fields = fields(&request);
    aside(move || {
        let across = field(&fields, "x").unwrap_or("epoch");
        let across = Across::of(across).ok_or_else(|| {
            Refusal::malformed(format!("x is step, epoch or time, not {across:?}"))
        })?;
        let smooth = field(&fields, "smooth").and_then(|text| text.parse().ok());
        let wanted = Wanted {
            metric: field(&fields, "metric").unwrap_or("loss").to_string(),
            across,
            log: field(&fields, "log") == Some("1"),
            smooth: smooth.unwrap_or(0.0f64).clamp(0.0, 0.999),
            size: size(&fields, (540, 300)),
        };
        // `run=LOOK:NAME`, where the look is the number of the colour.
        let asked = fields
            .iter()
            .filter(|(name, _)| name == "run")
            .take(MOST_RUNS);
        let runs = asked.enumerate().filter_map(|(at, (_, run))| {
            let (look, name) = run.split_once(':').unwrap_or(("", run));
            let look = look.parse().unwrap_or(at);
            Some((name.to_string(), look, shared.store.numbers(name)?))
        });
        let runs: Vec<_> = runs.collect();
        let lent: Vec<_> = (runs.iter())
            .map(|(name, look, numbers)| (name.clone(), *look, &**numbers))
            .collect();
        let svg = chart::curves(&wanted, &lent, page::words(shared.language));
        Ok(text_response(SVG, svg))
    })
    .await
}

/// The recipe of a run, or its settings line by line where it has none.
async fn recipe(State(shared): Asked, Path(name): Path<String>) -> Response {
    aside(move || {
        let files = shared.files(&name)?;
        let recipe = records::read(&files.recipe, MOST_SETTINGS).ok();
        let text = match recipe {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => {
                let bytes = records::read(&files.settings, MOST_SETTINGS).unwrap_or_default();
                let all: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let settings = all["settings"].as_object().into_iter().flatten();
                settings
                    .map(|(name, value)| format!("{name} = {value}\n"))
                    .collect()
            }
        };
        Ok(text_response("text/plain; charset=utf-8", text))
    })
    .await
}

/// The report's page, which is kept apart from the board by its policy.
async fn report(State(shared): Asked, Path(name): Path<String>) -> Response {
    aside(move || {
        let files = shared.files(&name)?;
        let bytes = records::read(&files.report, MOST_REPORT).map_err(|_| {
            let sentence = format!("the run {name:?} has no report yet");
            Refusal::new(StatusCode::NOT_FOUND, sentence)
        })?;
        Ok(page::report(&String::from_utf8_lossy(&bytes)))
    })
    .await
}

/// What a run found, as the sections of its report, in the board's language.
async fn sections(State(shared): Asked, Path(name): Path<String>) -> Response {
    aside(move || {
        let files = shared.files(&name)?;
        let bytes = records::read(&files.facts, MOST_REPORT).unwrap_or_default();
        let sections = Report::of_facts(&bytes).map(|report| {
            let report = Report {
                language: shared.language,
                ..report
            };
            let mut sections = report.sections();
            // The page has what the run was asked to do from its settings.
            sections.retain(|section| section.id != "run");
            sections
        });
        let sections = sections.into_iter().flatten().map(|section| {
            let html = chart::page_svg(&section.html);
            json!({ "id": section.id, "heading": section.heading, "html": html })
        });
        let sections: Vec<Value> = sections.collect();
        Ok(json_response(
            StatusCode::OK,
            &json!({ "sections": sections }),
        ))
    })
    .await
}

/// How weights, gradients or activations lay over the epochs, and the memory.
async fn histograms(State(shared): Asked, Path(name): Path<String>, request: Request) -> Response {
    let fields = fields(&request);
    aside(move || {
        let files = shared.files(&name)?;
        let bytes = records::read(&files.readings, MOST_READINGS).unwrap_or_default();
        let all = readings::parse(&bytes);
        let size = size(&fields, (320, 150));
        let words = page::words(shared.language);
        let kind = field(&fields, "kind").unwrap_or("weights");
        let found = chart::of_kind(&all, kind);
        let more = found.len().saturating_sub(MOST_LAYERS);
        let layers = found.iter().take(MOST_LAYERS).map(|(layer, of)| {
            let lost: u64 = of.iter().map(|(_, h)| u64::from(h.not_finite)).sum();
            json!({ "name": layer, "svg": chart::strip(layer, of, size, words), "notFinite": lost })
        });
        let layers: Vec<Value> = layers.collect();
        let memory = chart::memory(&all, (480, 240), words);
        let told = json!({ "layers": layers, "more": more, "memory": memory });
        Ok(json_response(StatusCode::OK, &told))
    })
    .await
}

/// Removes a run that nobody is writing to.
async fn deleted(State(shared): Asked, Path(name): Path<String>) -> Response {
    aside(move || {
        let files = shared.files(&name)?;
        if run::is_written(&files) {
            let sentence = format!("the run {name} is going on; stop it first");
            return Err(Refusal::new(StatusCode::CONFLICT, sentence));
        }
        run::delete(&files).map_err(failed)?;
        // It is gone, whether or not the folder can be looked at now.
        let _ = shared.look();
        Ok(json_response(StatusCode::OK, &json!({ "gone": name })))
    })
    .await
}

/// Sets the tags of a run: `{"tags": ["good"]}`.
async fn tagged(State(shared): Asked, Path(name): Path<String>, request: Request) -> Response {
    let body = Limited::new(request.into_body(), MOST_BODY).collect();
    let body = match timeout(LONGEST, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Refusal::too_large("that is too much for tags").into_response(),
        Err(_) => {
            let sentence = "the body did not come in time";
            return Refusal::new(StatusCode::REQUEST_TIMEOUT, sentence).into_response();
        }
    };
    aside(move || {
        let files = shared.files(&name)?;
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let tags = told["tags"].as_array().ok_or_else(|| {
            Refusal::malformed("tags are a list of texts: {\"tags\": [\"good\"]}")
        })?;
        let texts = tags.iter().map(|tag| tag.as_str().map(String::from));
        let texts: Option<Vec<String>> = texts.collect();
        let texts = texts.ok_or_else(|| Refusal::malformed("a tag is a text"))?;
        let tags = run::tidy(texts).map_err(Refusal::unfit)?;
        run::write_tags(&files, &tags).map_err(failed)?;
        let _ = shared.look();
        Ok(json_response(StatusCode::OK, &json!({ "tags": tags })))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_decoded() {
        assert_eq!(decoded("a+b%20c%C3%A9%zz%"), "a b cé%zz%");
    }
}
