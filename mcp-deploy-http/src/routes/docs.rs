//! The API's description: the document for programs, and a page of Swagger UI for people.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION, VARY};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::{Config, serve};

use super::{nothing, part};
use crate::openapi::document as made;
use crate::problem::Problem;

/// The document as it is sent.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| (made().to_pretty_json().expect("the document is JSON") + "\n").into());

/// From the page to the document, wherever a host has mounted both. Without `none`, the page would show the document to
/// a service of others that checks it.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(Config::from("../openapi.json").validator_url("none").try_it_out_enabled(true))
});

/// The document.
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.clone())
}

/// The page, at the path with the slash: from there its links lead to its files.
pub(crate) async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    if request.path().ends_with('/') {
        return send(request, "index.html").await;
    }
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish())
}

/// A file of the page.
pub(crate) async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let file = part(&request, "file").to_owned();
    send(request, &file).await
}

async fn send(request: HttpRequest, file: &str) -> Result<HttpResponse, Problem> {
    let Ok(Some(file)) = serve(file, Arc::clone(&PAGE)) else { return nothing(request).await };
    let mut response = HttpResponse::Ok();
    // No page of others may put this one into a frame, and lead a click to what it can do.
    response
        .insert_header((CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"))
        .insert_header((VARY, "accept-encoding"));
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(response.content_type(file.content_type).body(file.bytes.into_owned()))
}
