#![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use serde_json::json;

use super::*;

/// A template of the fields that every one needs, and of `fields`.
fn with(fields: Value) -> Result<Template> {
    let mut document = json!({"id": "demo", "name": "Demo", "description": "Greets.", "version": "1.0.0"});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Template::from_value(document, None)
}

fn complaints(fields: Value) -> String {
    with(fields).unwrap_err().to_string()
}

#[test]
fn the_older_generation_of_names_is_read() {
    let template = with(json!({
        "docker_image": "team/demo", "docker_tag": "1.2", "exposed_port": 7071,
        "config_schema": {"properties": {"level": {"type": "string"}}}, "default_config": {"level": "info"},
        "environment_variables": {"A": 1, "B": true, "C": "x y"}, "volume_mounts": ["/app/data:/data", "cache:/cache", "/srv:/srv:ro"],
        "command": "serve", "args": ["--port", 7071],
    })).unwrap();
    insta::assert_json_snapshot!(template, @r#"
    {
      "id": "demo",
      "name": "Demo",
      "description": "Greets.",
      "version": "1.0.0",
      "docker_image": "team/demo:1.2",
      "transport": {
        "kind": "streamable-http",
        "port": 7071,
        "path": "/mcp"
      },
      "command": [
        "serve"
      ],
      "args": [
        "--port",
        "7071"
      ],
      "environment_variables": {
        "A": "1",
        "B": "true",
        "C": "x y"
      },
      "volumes": [
        {
          "name": "cache",
          "path": "/cache",
          "access_mode": "ReadWriteOnce"
        }
      ],
      "mounts": [
        {
          "host_path": "/app/data",
          "path": "/data",
          "read_only": false
        },
        {
          "host_path": "/srv",
          "path": "/srv",
          "read_only": true
        }
      ],
      "config_schema": {
        "properties": {
          "level": {
            "type": "string"
          }
        }
      },
      "default_config": {
        "level": "info"
      },
      "resources": {
        "limits": {},
        "requests": {}
      },
      "replicas": 1,
      "security": {
        "run_as_user": 1000,
        "read_only_root": true,
        "add_capabilities": []
      },
      "network": "all",
      "restart": "always",
      "stateless": false
    }
    "#);
}

#[test]
fn the_newer_generation_of_names_is_read() {
    let template = with(json!({
        "ports": {"7071": 7071}, "transport": {"default": "stdio", "supported": ["stdio", "http"], "path": "/rpc"},
        "command": ["python", "server.py"],
        "config_schema": {"properties": {
            "dirs": {"type": "array", "env_mapping": "DIRS", "env_separator": ":", "volume_mount": true, "command_arg": "--dir"},
            "pin": {"type": "string", "sensitive": true},
        }},
        "tools": [
            {"name": "a", "parameters": [{"name": "who", "type": "string", "required": true}, {"name": "n", "type": "integer"}]},
            {"name": "b", "description": "B.", "inputSchema": {"type": "object"}},
            {"name": "c", "parameters": {"type": "object", "properties": {}}},
            {"name": "d"},
        ],
        "capabilities": ["x"], "examples": {"y": 1}, "origin": "internal",
    })).unwrap();
    assert_eq!(
        template.transport,
        Transport { kind: crate::TransportKind::StreamableHttp, port: 7071, path: "/rpc".to_owned() }
    );
    assert!(template.warnings.is_empty(), "{}", template.warnings);
    insta::assert_json_snapshot!(template.tools, @r#"
    [
      {
        "name": "a",
        "input_schema": {
          "properties": {
            "n": {
              "type": "integer"
            },
            "who": {
              "type": "string"
            }
          },
          "required": [
            "who"
          ],
          "type": "object"
        }
      },
      {
        "name": "b",
        "description": "B.",
        "input_schema": {
          "type": "object"
        }
      },
      {
        "name": "c",
        "input_schema": {
          "properties": {},
          "type": "object"
        }
      },
      {
        "name": "d",
        "input_schema": {
          "properties": {},
          "type": "object"
        }
      }
    ]
    "#);
    assert_eq!(template.config_schema.property("dirs").command_arg.as_deref(), Some("--dir"));
    assert_eq!(template.metadata.keys().collect::<Vec<_>>(), ["capabilities", "examples", "origin"]);
}

#[test]
fn images_are_kept_exactly_and_derived_where_none_is_written() {
    let image =
        |fields: Value| with(fields).unwrap().image("reg.example:5000/team/").unwrap().as_str().to_owned();
    let digest = format!("a@sha256:{}", "0".repeat(64));
    assert_eq!(image(json!({})), "reg.example:5000/team/mcp-demo:latest");
    assert_eq!(image(json!({"docker_image": "a"})), "a");
    assert_eq!(image(json!({"docker_image": "a:1", "docker_tag": "2"})), "a:1");
    assert_eq!(image(json!({"docker_image": digest, "docker_tag": "2"})), digest);
    assert_eq!(image(json!({"docker_image": "localhost:5000/a", "docker_tag": "2"})), "localhost:5000/a:2");
}

#[test]
fn the_port_comes_from_the_first_place_that_says_it() {
    let port = |fields: Value| with(fields).unwrap().transport.port;
    assert_eq!(port(json!({})), 8080);
    assert_eq!(port(json!({"ports": {"80": 7071}})), 7071);
    assert_eq!(port(json!({"ports": {"80": 7071, "81": 7072}, "exposed_port": "9000"})), 9000);
    assert_eq!(port(json!({"exposed_port": 9000, "transport": {"port": 9001}})), 9001);
}

#[test]
fn a_field_that_has_to_be_there_may_not_be_null() {
    insta::assert_snapshot!(complaints(json!({"name": null, "version": null})), @"
    2 rules are broken:
      `/name` is missing; the server's name for people
      `/version` is missing; the template's version, as in `1.0.0`
    ");
}

#[test]
fn every_broken_rule_is_listed() {
    insta::assert_snapshot!(Template::from_value(json!({"docker_image": "a b"}), Some("My Dir")).unwrap_err().to_string(), @"
    5 rules are broken:
      `/id` is not given, and its place is named `My Dir`, which contains `M` ` ` `D` where only `a-z`, `0-9` and `-` are allowed
      `/name` is missing; the server's name for people
      `/description` is missing; what the server does, in a sentence
      `/version` is missing; the template's version, as in `1.0.0`
      `/docker_image` is wrong: `a b` is no image reference: it contains ` `
    ");
    insta::assert_snapshot!(complaints(json!({"id": "deploy", "docker_image": "x", "docker_tag": "a b", "replicas": -1})), @"
    3 rules are broken:
      `/id` is `deploy`, which is reserved
      `/docker_tag` is wrong: `x:a b` is no image reference: it contains ` `
      `/replicas` is integer `-1`; expected a whole number that is not negative
    ");
    insta::assert_snapshot!(complaints(json!({
        "command": "serve now", "args": [["x"]], "environment_variables": {"A=B": "x", "PORT": 1, "C": []},
        "volume_mounts": ["~/x:/y", "x:y", "/a:/b", "/c:/b", "v:/v:ro"], "volumes": [{"name": "V", "path": "/data/../etc"}],
        "tools": [{"name": "a"}, {"name": "a"}, {"description": "nameless"}, {"name": "b", "parameters": [1]}, {"name": "c", "inputSchema": {"type": "objekt"}}],
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "1Gi"}},
        "transport": {"default": "pigeon", "path": "mcp"},
    })), @r#"
    18 rules are broken:
      `/transport/default` is `pigeon`; `http` (or `streamable-http`), `sse` or `stdio`
      `/transport/path` is `mcp`; a path that begins with `/`
      `/volume_mounts/0` is `~/x:/y`; `/host/path:/container/path`, `name:/container/path`, with `:ro` to forbid writing
      `/volume_mounts/4` is `v:/v:ro`; `/host/path:/container/path`, `name:/container/path`, with `:ro` to forbid writing
      `/volumes/0/name` is `V`; 1 to 40 characters `a-z 0-9 -`, a letter or digit first and last
      `/volumes/0` is mounted at `/data/../etc`; an absolute path below `/`, without `:` or `..`
      `/volume_mounts/1` is mounted at `y`; an absolute path below `/`, without `:` or `..`
      `/volume_mounts/3` is mounted at `/b`, as another is; a path of its own
      `/environment_variables/A=B` is no name of an environment variable; letters, digits and `_`
      `/environment_variables/C` is no text; a text, a number or a boolean
      `/environment_variables/PORT` is `1`, and the transport's port is 8080; set `transport.port`; `PORT` follows it
      `/command` is the text `serve now`; a list with an item for each word; no shell splits it
      `/args/0` is no text; a text, a number or a boolean
      `/tools/1/name` is `a`; a name of its own
      `/tools/2` is wrong: missing field `name`
      `/tools/3/parameters/0` is no parameter; an object with `name`, `type`, `description`, `required`
      `/tools/4` has arguments that are no valid JSON Schema: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword; a JSON Schema
      `/resources/requests/memory` is 1Gi; at most the limit, 64Mi
    "#);
}

#[test]
fn ports_that_are_none_are_refused() {
    for (fields, pointer) in [
        (json!({"exposed_port": 0}), "/exposed_port"),
        (json!({"transport": {"port": 70000}}), "/transport/port"),
        (json!({"ports": {"80": "80a"}}), "/ports/80"),
        (json!({"ports": {"x": 80}}), "/ports/x"),
        (json!({"ports": {"1": 1, "2": 2}}), "/ports"),
    ] {
        let text = complaints(fields);
        assert!(text.starts_with(&format!("`{pointer}`")), "{text}");
    }
    assert_eq!(complaints(json!({"ports": {"80": "80a"}})), "`/ports/80` is `80a`; a number from 1 to 65535");
}

#[test]
fn quantities_that_are_none_are_refused_where_they_stand() {
    for memory in ["12XB", "-1", "1e400"] {
        let text = complaints(json!({"resources": {"limits": {"memory": memory}}}));
        assert!(text.starts_with("`/resources/limits/memory`") && text.contains(memory), "{text}");
    }
}

#[test]
fn defaults_have_to_keep_the_schema() {
    let schema = json!({"required": ["who"], "properties": {"who": {"type": "string"}, "level": {"enum": ["a", "b"]}}});
    assert!(with(json!({"config_schema": schema, "default_config": {"level": "a"}})).is_ok());
    insta::assert_snapshot!(complaints(json!({"config_schema": schema, "default_config": {"level": "c", "lvl": 1}})), @r#"
    2 rules are broken:
      `/default_config/lvl` is unknown; did you mean `level`?
      `/default_config/level` is `"c"`; one of `"a"`, `"b"`
    "#);
}

#[test]
fn an_unknown_field_is_a_warning_with_a_suggestion() {
    let template = with(json!({"comand": ["x"], "health": {"livenes": "/x"}, "zzz": 1})).unwrap();
    insta::assert_snapshot!(template.warnings, @"
    3 rules are broken:
      `/health/livenes` is unknown and was not read
      `/comand` is unknown and was not read; did you mean `command`?
      `/zzz` is unknown and was not read
    ");
}

#[test]
fn what_is_no_template_at_all_is_refused() {
    insta::assert_snapshot!(Template::parse("[1]", "`t.json`", None).unwrap_err(), @"the template is no object of fields");
    insta::assert_snapshot!(Template::parse("", "`t.json`", None).unwrap_err(), @"`t.json` is empty");
}

#[test]
fn yaml_says_the_same_as_json() {
    let text = "id: demo\nname: Demo\ndescription: Greets.\nversion: \"1.0.0\"\nports:\n  7071: 7071\n";
    assert_eq!(Template::parse(text, "it", None).unwrap().transport.port, 7071);
}

#[test]
fn a_test_is_a_call_with_what_its_answer_has_to_be() {
    let template = with(json!({
        "tools": [{"name": "say_hello"}],
        "tests": [
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "contains": "Ada"},
            {"tool": "say_hello", "equals": {"greeting": "Hello"}},
            {"tool": "say_hello", "fails": true},
        ],
    }))
    .unwrap();
    let written = serde_json::to_value(&template).unwrap();
    assert_eq!(
        written["tests"],
        json!([
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "contains": "Ada"},
            {"tool": "say_hello", "equals": {"greeting": "Hello"}},
            {"tool": "say_hello", "fails": true},
        ])
    );
}

#[test]
fn everything_that_is_wrong_with_tests_is_told_at_once() {
    let complaint = complaints(json!({
        "tools": [{"name": "say_hello"}, {"name": "count"}],
        "tests": [
            {"tool": "say_helo", "contains": ""},
            {"tool": "xyz", "arguments": ["Ada"], "equal": 1},
            {"contains": 7, "fails": "yes", "whatever/else": 1},
            {"tool": 3},
            "say_hello",
        ],
    }));
    insta::assert_snapshot!(complaint, @r#"
    11 rules are broken:
      `/tests/0/tool` is `say_helo`, which is none of the template's tools; did you mean `say_hello`?
      `/tests/0/contains` is empty, which every answer contains; a text
      `/tests/1/tool` is `xyz`, which is none of the template's tools; they are `say_hello`, `count`
      `/tests/1/arguments` is sequence; expected a map
      `/tests/1/equal` is unknown; did you mean `equals`?
      `/tests/2/tool` is missing; the name of the tool that is called
      `/tests/2/contains` is integer `7`; expected a string
      `/tests/2/fails` is string "yes"; expected a boolean
      `/tests/2/whatever~1else` is unknown; a test has `tool`, `arguments`, `contains`, `equals`, `fails`
      `/tests/3/tool` is integer `3`; expected a string
      `/tests/4` is no test; an object with `tool`, `arguments`, `contains`, `equals`
    "#);
    insta::assert_snapshot!(complaints(json!({"tests": {"tool": "say_hello"}})), @"`/tests` is map; expected a sequence");
}
