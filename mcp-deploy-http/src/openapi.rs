//! What the API is, told to programs: an OpenAPI 3.1 document, made from the routes, the answers and the problems
//! that the code itself has.

mod bodies;
mod exact;
mod operation;
pub(crate) mod operations;
mod problems;
mod words;

use actix_web::http::Method;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, Info, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, Server,
    Tag,
};

pub(crate) use operation::Operation;

use crate::auth::Role;
use crate::routes::documented;

/// An endpoint: its path, its method, its operation's id, and what it is.
pub(crate) type Documented = (&'static str, Method, &'static str, Operation);

const DESCRIPTION: &str = "\
Deploys MCP servers from templates, and keeps them observable, changeable and removable.

Errors are problem documents (RFC 9457) whose `code` is stable, with every violation of a request at once: unknown \
query parameters and unknown fields of a body are violations too. Every answer has an `X-Request-Id`. Paths are \
answered with and without the slash at their end, `HEAD` where there is a `GET`, and `OPTIONS`, which tells the \
methods in `Allow`; any other method is the problem 405 with the same header.";

const TAGS: [(&str, &str); 4] = [
    ("templates", "What can be deployed."),
    ("deployments", "What runs, and what it does."),
    ("backends", "Where it runs."),
    ("health", "Whether the server itself is well."),
];

/// The document.
pub(crate) fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas = problems::schemas();
    for (path, method, id, operation) in documented() {
        let (item, named) = operation.of_path(id, http_method(&method), Role::needed(&method, path));
        paths = paths.path(path, item);
        schemas.extend(named);
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(exact::made(schemas))
        .responses_from_iter(problems::responses())
        .parameter("X-Request-Id", operation::own_request_id())
        .header("X-Request-Id", operation::request_id())
        .security_scheme("bearer", bearer())
        .build();
    let either = [SecurityRequirement::default(), SecurityRequirement::new("bearer", [""; 0])];
    OpenApiBuilder::new()
        .info(info())
        .servers(Some([Server::new("/")]))
        .tags(Some(TAGS.map(|(name, description)| tag(name, description))))
        .paths(paths)
        .components(Some(components))
        .security(Some(either))
        .build()
}

fn info() -> Info {
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(license.name.clone());
    InfoBuilder::new()
        .title("mcp-deploy")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build()
}

fn tag(name: &str, description: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(description.to_owned());
    tag
}

fn bearer() -> SecurityScheme {
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    let description = "A token as `mcp-deploy token new` makes it, where the server has a file of tokens. A `reader` \
                       looks, an `operator` deploys, changes and calls tools, an `admin` deletes too.";
    bearer.description = Some(description.to_owned());
    SecurityScheme::Http(bearer)
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::GET => HttpMethod::Get,
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        _ => unreachable!("the table of the endpoints has no other method"),
    }
}
