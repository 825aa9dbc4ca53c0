#![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn template(fields: Value) -> Template {
    let mut document = json!({"id": "demo", "name": "Demo", "description": "Greets.", "version": "1.0.0"});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Template::from_value(document, None).unwrap()
}

fn resolved(template: &Template, request: Request) -> DeploymentSpec {
    resolve(template, &request.name("demo-one"), "ghcr.io/team").unwrap()
}

fn complaints(template: &Template, request: Request) -> String {
    resolve(template, &request, "ghcr.io/team").unwrap_err().to_string()
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn later_sources_win_and_objects_are_merged() {
    let template = template(json!({
        "config_schema": {"properties": {
            "a": {"type": "string", "default": "schema"}, "b": {"type": "string", "default": "schema"},
            "c": {"type": "string", "default": "schema"}, "d": {"type": "string", "default": "schema"},
            "e": {"type": "string", "default": "schema"}, "f": {"type": "string", "default": "schema"},
            "o": {"type": "object", "properties": {"x": {"type": "integer", "default": 1}, "y": {"type": "integer"}}},
        }},
        "default_config": {"b": "template", "c": "template", "d": "template", "e": "template", "f": "template"},
    }));
    let request = Request::default()
        .file(object(json!({"c": "file", "d": "file", "e": "file", "f": "file", "o": {"y": 2}})))
        .env("D", "env")
        .env("E", "env")
        .env("F", "env")
        .env("EXTRA", "env")
        .set("e", "set")
        .set("f", "set")
        .set("o.x", "7")
        .value("f", "explicit");
    let env = resolved(&template, request).env;
    insta::assert_json_snapshot!(env, @r#"
    {
      "A": "schema",
      "B": "template",
      "C": "file",
      "D": "env",
      "E": "set",
      "EXTRA": "env",
      "F": "explicit",
      "O": "{\"x\":7,\"y\":2}",
      "PORT": "8080"
    }
    "#);
}

#[test]
fn values_reach_the_environment_as_documented() {
    let template = template(json!({"exposed_port": 9000, "config_schema": {"properties": {
        "list": {"type": "array"}, "colon": {"type": "array", "env_separator": ":"}, "objects": {"type": "array"},
        "o": {"type": "object", "additionalProperties": true}, "n": {"type": "number"}, "b": {"type": "boolean"},
        "nothing": {"type": "null"}, "empty": {"type": "string"}, "raw": {"type": "string", "env_mapping": "Raw.Text"},
    }}}));
    let raw = "a 'b' \"c\" $(d) ${e}\n\tü€ \\";
    let request = Request::default()
        .value("list", json!(["a", 1, true]))
        .value("colon", json!(["a,b", "c"]))
        .value("objects", json!([{"k": 1}]))
        .value("o", json!({"k": [1]}))
        .value("n", 1.5)
        .value("b", false)
        .value("nothing", Value::Null)
        .value("empty", "")
        .value("raw", raw);
    let mut env = resolved(&template, request).env;
    assert_eq!(env.remove("Raw.Text").unwrap(), raw);
    insta::assert_json_snapshot!(env, @r#"
    {
      "B": "false",
      "COLON": "a,b:c",
      "EMPTY": "",
      "LIST": "a,1,true",
      "N": "1.5",
      "O": "{\"k\":[1]}",
      "OBJECTS": "[{\"k\":1}]",
      "PORT": "9000"
    }
    "#);
}

#[test]
fn an_item_that_holds_the_separator_is_refused() {
    let template = template(json!({"config_schema": {"properties": {"list": {"type": "array"}}}}));
    insta::assert_snapshot!(complaints(&template, Request::default().value("list", json!(["a,b"]))), @"`/configuration/list` has an item that contains the separator `,`; set another `env_separator` in the template");
}

#[test]
fn secrets_are_split_off_and_shown_nowhere() {
    let template = template(json!({
        "environment_variables": {"FIXED_TOKEN": "canary-1", "PLAIN": "x"},
        "config_schema": {"properties": {
            "api_key": {"type": "string"}, "pin": {"type": "integer", "sensitive": true},
            "sort_key": {"type": "string", "sensitive": false},
        }},
    }));
    let request = Request::default()
        .set("api_key", "canary-2")
        .set("pin", "4711")
        .set("sort_key", "name")
        .env("MY_PASSWORD", "canary-3");
    assert!(!format!("{request:?}").contains("canary"));
    let spec = resolved(&template, request);
    let exposed: Vec<(&str, &str)> = spec.secrets.expose().collect();
    assert_eq!(
        exposed,
        [("API_KEY", "canary-2"), ("FIXED_TOKEN", "canary-1"), ("MY_PASSWORD", "canary-3"), ("PIN", "4711")]
    );
    for text in [format!("{spec:?}"), format!("{spec:#?}"), serde_json::to_string(&spec).unwrap()] {
        assert!(!text.contains("canary") && !text.contains("4711"), "{text}");
    }
    assert_eq!(
        serde_json::to_value(&spec.configuration).unwrap(),
        json!({"api_key": "***", "pin": "***", "sort_key": "name"})
    );
    assert_eq!(spec.env["SORT_KEY"], "name");

    let (plain, secrets) = spec.clone().into_parts().unwrap();
    assert!(!plain.to_string().contains("canary"));
    assert_eq!(DeploymentSpec::from_parts(plain.clone(), secrets).unwrap(), spec);
    assert!(DeploymentSpec::from_parts(plain, std::collections::BTreeMap::new()).is_err());
}

#[test]
fn a_bad_secret_is_in_no_error() {
    let template =
        template(json!({"config_schema": {"properties": {"api_key": {"type": "string", "pattern": "^x"}}}}));
    let text = complaints(
        &template,
        Request::default().set("api_key", "canary").env("A\0_TOKEN", "canary").set("api_kye", "canary"),
    );
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn an_argument_is_one_item_whatever_it_holds() {
    let template = template(json!({"args": ["serve"], "config_schema": {"properties": {
        "level": {"type": "string", "command_arg": "--log"}, "dry_run": {"type": "boolean", "command_arg": true},
    }}}));
    let request = Request::default().set("level", "a b; rm -rf $HOME").set("dry_run", "true");
    assert_eq!(resolved(&template, request).args, ["serve", "--dry-run=true", "--log=a b; rm -rf $HOME"]);
}

#[test]
fn host_paths_are_mounted_and_rewritten_unless_a_volume_holds_them() {
    let template = template(
        json!({"volumes": [{"name": "data", "path": "/data"}], "config_schema": {"properties": {
            "dirs": {"type": "array", "volume_mount": true, "default": ["/data"]}, "work": {"type": "string", "volume_mount": "/work"},
        }}}),
    );
    let spec = resolved(&template, Request::default());
    assert_eq!((spec.env["DIRS"].as_str(), spec.mounts.len()), ("/data", 0));

    let request = Request::default()
        .value("dirs", json!(["/data/x", "/home/me/docs:ro", "/srv/docs", "C:\\docs"]))
        .set("work", "/tmp/w");
    let spec = resolved(&template, request);
    assert_eq!(spec.env["DIRS"], "/data/x,/mnt/docs,/mnt/docs-2,/mnt/docs-3");
    insta::assert_json_snapshot!(spec.mounts, @r#"
    [
      {
        "host_path": "/home/me/docs",
        "path": "/mnt/docs",
        "read_only": true
      },
      {
        "host_path": "/srv/docs",
        "path": "/mnt/docs-2",
        "read_only": false
      },
      {
        "host_path": "C:\\docs",
        "path": "/mnt/docs-3",
        "read_only": false
      },
      {
        "host_path": "/tmp/w",
        "path": "/work",
        "read_only": false
      }
    ]
    "#);

    let request =
        Request::default().value("dirs", json!(["docs", "/a/../etc", "/database"])).name("demo-one");
    insta::assert_snapshot!(complaints(&template, request), @"
    2 rules are broken:
      `/configuration/dirs/0` is `docs`; an absolute path of the host
      `/configuration/dirs/1` is `/a/../etc`, which climbs with `..`; an absolute path of the host
    ");
}

#[test]
fn everything_that_is_wrong_comes_at_once() {
    let template = template(json!({"config_schema": {"required": ["who"], "properties": {
        "who": {"type": "string"}, "level": {"enum": ["debug", "info"]}, "o": {"type": "object", "properties": {"n": {"type": "integer"}}},
    }}}));
    let mut request = Request::default()
        .name("Demo.1")
        .image("a b")
        .replicas(5000)
        .memory("12XB")
        .set("lvel", "info")
        .set("level", "loud")
        .set("o.n", "80a")
        .set("level.deep", "x")
        .env("A B", "x")
        .env("PORT", "1");
    request.overrides.cpus = Some("-1".to_owned());
    let request = request.pull_policy("sometimes").host_port(0);
    insta::assert_snapshot!(complaints(&template, request), @r#"
    14 rules are broken:
      `/name` contains `D` `.` where only `a-z`, `0-9` and `-` are allowed
      `/overrides/image` is wrong: `a b` is no image reference: it contains ` `
      `/overrides/pull_policy` is `sometimes`; `always`, `missing` or `never`
      `/overrides/host_port` is 0; a port from 1 to 65535
      `/overrides/memory` is wrong: `12XB` is no amount of memory: write it like `512Mi`, `1Gi` or `500M`
      `/overrides/cpus` is wrong: `-1` is no amount of CPU: it is negative
      `/overrides/replicas` is 5000; at most 1000
      `/environment/A B` is no name of an environment variable; letters, digits and `_`
      `/environment/PORT` cannot be changed; the template's server listens on 8080
      `/configuration/level` is no object, so nothing inside it can be set
      `/configuration/lvel` is unknown; did you mean `level`?
      `/configuration/who` is missing; it is required
      `/configuration/level` is `"loud"`; one of `"debug"`, `"info"`
      `/configuration/o/n` is `"80a"`; expected an integer
    "#);
}

#[test]
fn overrides_win_over_the_template_and_requests_follow_limits() {
    let template = template(
        json!({"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi", "cpu": "2"}}}),
    );
    let mut request = Request::default().image("other:2").replicas(0).memory("128Mi");
    request.overrides.cpus = Some("0.5".to_owned());
    let spec = resolved(&template, request);
    assert_eq!((spec.image.as_str(), spec.replicas), ("other:2", 0));
    insta::assert_json_snapshot!(spec.resources, @r#"
    {
      "limits": {
        "cpu": "500m",
        "memory": "128Mi"
      },
      "requests": {
        "cpu": "500m",
        "memory": "128Mi"
      }
    }
    "#);
}

#[test]
fn the_port_is_the_templates_whoever_asks_for_another() {
    let template =
        template(json!({"config_schema": {"properties": {"port": {"type": "integer", "default": 8080}}}}));
    assert_eq!(resolved(&template, Request::default()).env["PORT"], "8080");
    insta::assert_snapshot!(complaints(&template, Request::default().set("port", "9000")), @"`/configuration/port` cannot be changed: it is carried by `PORT`; the template's server listens on 8080");
}

#[test]
fn a_name_is_derived_where_none_is_given() {
    let spec = resolve(&template(json!({})), &Request::default(), "ghcr.io/team").unwrap();
    assert!(spec.name.as_str().starts_with("demo-"), "{}", spec.name);
    assert_eq!(spec.image.as_str(), "ghcr.io/team/mcp-demo:latest");
}

#[test]
fn what_any_source_gives_is_not_missing() {
    let template = template(json!({"default_config": {"a": 1}, "config_schema": {
        "required": ["a", "b", "c", "d", "e", "f"],
        "properties": {"c": {"env_mapping": "THE_C"}, "e": {"default": 1}},
    }}));
    let request = Request::default().set("b.inner", "1").env("THE_C", "1").value("d", 1);
    assert_eq!(missing(&template, &request), ["f"]);
}

proptest! {
    #[test]
    fn any_text_without_nul_arrives_byte_for_byte(text in "[^\0]{0,200}") {
        let template = template(json!({"config_schema": {"properties": {"text": {"type": "string"}}}}));
        prop_assert_eq!(&resolved(&template, Request::default().set("text", text.clone())).env["TEXT"], &text);
        prop_assert_eq!(&resolved(&template, Request::default().env("OTHER", text.clone())).env["OTHER"], &text);
    }
}
