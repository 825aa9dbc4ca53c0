//! The transport of a template: its kind, its port and its path.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::{Transport, TransportKind};

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_PATH: &str = "/mcp";
const A_PORT: &str = "a number from 1 to 65535";
const A_KIND: &str = "`http` (or `streamable-http`), `sse` or `stdio`";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    default: Option<String>,
    supported: Vec<String>,
    port: Option<Value>,
    path: Option<String>,
}

/// Reads `transport`, `ports` and `exposed_port`. The port is that of the transport, else `exposed_port`, else
/// the only one of `ports`, else 8080.
pub(super) fn transport(fields: &mut Fields) -> Transport {
    let written = match fields.raw("transport") {
        Some(Value::String(kind)) => Written { default: Some(kind), ..Written::default() },
        Some(value) => fields.typed(value, "/transport").unwrap_or_default(),
        None => Written::default(),
    };
    let Written { default, supported, port: written_port, path } = written;
    let kind = kind(default, &supported, fields);
    let path = path.unwrap_or_else(|| DEFAULT_PATH.to_owned());
    if !path.starts_with('/') || path.contains(char::is_whitespace) {
        fields.wrong("/transport/path", format!("is `{path}`"), "a path that begins with `/`");
    }
    Transport { kind, port: port(written_port, fields), path }
}

/// HTTP where the server supports it: no other can be reached from outside its container.
fn kind(default: Option<String>, supported: &[String], fields: &mut Fields) -> TransportKind {
    let mut kinds = Vec::new();
    for (index, name) in supported.iter().enumerate() {
        match named(name) {
            Some(kind) => kinds.push(kind),
            None => fields.wrong(format!("/transport/supported/{index}"), format!("is `{name}`"), A_KIND),
        }
    }
    let default = default.and_then(|name| {
        let kind = named(&name);
        if kind.is_none() {
            fields.wrong("/transport/default", format!("is `{name}`"), A_KIND);
        }
        kind
    });
    if kinds.contains(&TransportKind::StreamableHttp) {
        return TransportKind::StreamableHttp;
    }
    default.or_else(|| kinds.first().copied()).unwrap_or(TransportKind::StreamableHttp)
}

fn named(name: &str) -> Option<TransportKind> {
    match name {
        "http" | "streamable-http" | "streamable_http" | "streamableHttp" => {
            Some(TransportKind::StreamableHttp)
        }
        "sse" => Some(TransportKind::Sse),
        "stdio" => Some(TransportKind::Stdio),
        _ => None,
    }
}

fn port(written: Option<Value>, fields: &mut Fields) -> u16 {
    let exposed = fields.raw("exposed_port");
    let exposed = exposed.and_then(|value| number(&value, "/exposed_port", fields));
    let ports: Map<String, Value> = fields.take("ports").unwrap_or_default();
    let mut inside = BTreeSet::new();
    for (outside, value) in &ports {
        let pointer = format!("/ports/{}", crate::error::pointer_token(outside));
        if number(&Value::String(outside.clone()), &pointer, fields).is_some() {
            inside.extend(number(value, &pointer, fields));
        }
    }
    let written = match written {
        Some(value) => number(&value, "/transport/port", fields),
        None if exposed.is_none() && inside.len() > 1 => {
            fields.wrong("/ports", "has several ports", "say in `transport.port` which one speaks MCP");
            None
        }
        None => None,
    };
    written.or(exposed).or_else(|| inside.first().copied()).unwrap_or(DEFAULT_PORT)
}

/// A port: a number, or the same as text.
fn number(value: &Value, pointer: &str, fields: &mut Fields) -> Option<u16> {
    let port = match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let port = port.filter(|port| *port != 0);
    if port.is_none() {
        fields.wrong(pointer, format!("is `{value}`").replace("`\"", "`").replace("\"`", "`"), A_PORT);
    }
    port
}
