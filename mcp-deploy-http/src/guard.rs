//! Who is let in: by the host that is called, by the page that calls, by the token that is shown.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use actix_web::HttpMessage;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::http::{StatusCode, Uri};
use actix_web::middleware::Next;
use mcp_deploy_core::HttpSettings;

use crate::audit::Client;
use crate::auth::{Role, Tokens};
use crate::problem::Problem;
use crate::rate::{Caller, Rate};

/// What is open to whoever may call at all.
const OPEN: &[&str] = &["/health", "/ready", "/openapi.json", "/docs"];
/// Below this path everything is open: the files of a page that a browser asks for without a token.
const OPEN_BELOW: &str = "/docs/";

/// What those ask who restart a server that does not live.
const OPEN_TO_PROBES: &[&str] = &["/health", "/ready"];

/// The rules of a server.
#[derive(Debug)]
pub(crate) struct Guard {
    /// `None` where a client may call the server whatever it likes.
    hosts: Option<Vec<String>>,
    origins: Vec<String>,
    tokens: Option<Tokens>,
    /// The paths that need no token.
    open: Vec<&'static str>,
    rate: Option<Rate>,
}

impl Guard {
    /// On an address of this machine alone the host has to be this machine: else a page of another site whose name
    /// leads here could call the server (DNS rebinding).
    ///
    /// # Errors
    ///
    /// What is wrong with the file of the tokens, or that there has to be one.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, String> {
        let HttpSettings { bind, tokens_file, allowed_hosts, allowed_origins, insecure_no_auth, .. } =
            settings;
        let is_local = bind.ip().to_canonical().is_loopback();
        if !is_local && tokens_file.is_none() && !insecure_no_auth {
            return Err(format!(
                "others can reach `{bind}`, and nobody would have to show a token: name a file of tokens with \
                 `MCP_API_TOKENS_FILE`, or bind to `127.0.0.1`"
            ));
        }
        if let Some(origin) = allowed_origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "`{origin}` is no origin: one is a scheme and a host, as in `https://console.example`"
            ));
        }
        let tokens = tokens_file.as_deref().map(Tokens::read).transpose()?;
        let hosts = (is_local || !allowed_hosts.is_empty()).then(|| allowed_hosts.clone());
        let open = OPEN.iter().copied().chain(settings.open_metrics.then_some("/metrics")).collect();
        let rate = NonZeroU32::new(settings.rate_limit).map(Rate::per_second);
        Ok(Self { hosts, origins: allowed_origins.clone(), tokens, open, rate })
    }

    /// Counts the request for whoever sends it, whether it is let in or not: who guesses tokens is held back too.
    fn admit(&self, request: &ServiceRequest) -> Result<Option<Client>, Problem> {
        let client = self.check(request);
        let Some(rate) = self.rate.as_ref().filter(|_| !is_free(request.path())) else { return client };
        let caller = match &client {
            Ok(Some(Client(name))) => Caller::Token(name.clone()),
            _ => Caller::at(request.peer_addr().map(|address| address.ip())),
        };
        rate.count(&caller).map_err(|wait| Problem::TooOften { wait })?;
        client
    }

    /// Whose token is shown, where one has to be.
    fn check(&self, request: &ServiceRequest) -> Result<Option<Client>, Problem> {
        let headers = request.headers();
        self.check_host(headers)?;
        self.check_origin(headers)?;
        let path = request.path().trim_end_matches('/');
        match &self.tokens {
            Some(tokens) if !self.is_open(path) => {
                check_token(tokens, headers, Role::needed(request.method(), path)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn is_open(&self, path: &str) -> bool {
        self.open.contains(&path) || path.starts_with(OPEN_BELOW)
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(allowed) = &self.hosts else { return Ok(()) };
        let host = text(headers, &HOST).and_then(host_of).unwrap_or_default();
        if is_this_machine(&host) || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host)) {
            return Ok(());
        }
        let detail = format!(
            "this server is not called `{host}`; `MCP_ALLOWED_HOSTS` names those that it is called by"
        );
        Err(Problem::request(StatusCode::MISDIRECTED_REQUEST, "host_refused", detail))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = text(headers, &ORIGIN) else { return Ok(()) };
        let own = text(headers, &HOST).is_some_and(|host| {
            origin.strip_prefix("http://").or(origin.strip_prefix("https://")) == Some(host)
        });
        if own || self.origins.iter().any(|allowed| allowed.trim_end_matches('/') == origin) {
            return Ok(());
        }
        let detail = format!(
            "pages of `{origin}` may not call this server; `MCP_ALLOWED_ORIGINS` names those that may"
        );
        Err(Problem::request(StatusCode::FORBIDDEN, "origin_refused", detail))
    }
}

/// A scheme, a host and perhaps a port (RFC 6454).
fn is_origin(text: &str) -> bool {
    let is_bare = |uri: &Uri| uri.host().is_some() && matches!(uri.path(), "" | "/") && uri.query().is_none();
    (text.starts_with("https://") || text.starts_with("http://"))
        && text.parse().is_ok_and(|uri| is_bare(&uri))
}

/// What is not counted: whoever restarts a server that does not live must not take a flood for its end. It costs
/// little, however often it is asked.
fn is_free(path: &str) -> bool {
    OPEN_TO_PROBES.contains(&path.trim_end_matches('/'))
}

pub(crate) async fn middleware(
    guard: Arc<Guard>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match guard.admit(&request) {
        Ok(client) => {
            if let Some(client) = client {
                request.extensions_mut().insert(client);
            }
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(problem) => Ok(request.error_response(problem)),
    }
}

fn check_token(tokens: &Tokens, headers: &HeaderMap, needed: Role) -> Result<Client, Problem> {
    let shown = text(headers, &AUTHORIZATION).and_then(|shown| {
        let (scheme, token) = shown.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(entry) = shown.and_then(|token| tokens.find(token)) else {
        let detail = match shown {
            Some(_) => "the token is not valid, or no longer",
            None => "show a token: `Authorization: Bearer TOKEN`",
        };
        return Err(Problem::Unauthorized { detail });
    };
    if entry.role >= needed {
        return Ok(Client(entry.name));
    }
    let detail =
        format!("`{}` has the role {}, and this needs {}", entry.name, entry.role.as_str(), needed.as_str());
    Err(Problem::request(StatusCode::FORBIDDEN, "role_too_low", detail))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The host of `HOST:PORT`.
fn host_of(authority: &str) -> Option<String> {
    let uri: Uri = format!("http://{authority}/").parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
