use serde_json::json;

use super::*;

fn schema(document: Value) -> ConfigSchema {
    ConfigSchema::compile(document).unwrap()
}

/// Every violation of `configuration`, a line each.
fn complaints(document: Value, configuration: Value) -> String {
    let Value::Object(configuration) = configuration else { panic!("a configuration is an object") };
    let violations = schema(document).validate(&configuration);
    lines(&violations)
}

fn schema_complaints(document: Value) -> String {
    lines(&ConfigSchema::compile(document).unwrap_err())
}

fn lines(violations: &Violations) -> String {
    violations.iter().fold(String::new(), |lines, violation| lines + &violation.to_string() + "\n")
}

#[test]
fn all_violations_come_together_with_what_would_be_right() {
    let document = json!({
        "type": "object",
        "required": ["endpoint"],
        "properties": {
            "endpoint": {"type": "string", "description": "Where to ask."},
            "log_level": {"type": "string", "enum": ["debug", "info"]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "nested": {"type": "object", "properties": {"depth": {"type": "integer"}}},
            "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "uniqueItems": true},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]},
        },
    });
    insta::assert_snapshot!(complaints(document, json!({
        "log_levl": "info",
        "log_level": "loud",
        "limit": 0,
        "code": "abc",
        "nested": {"dept": 1, "depth": "deep"},
        "names": ["a", "bb", "bb"],
        "either": "abc",
    })), @r#"
    `/log_levl` is unknown; did you mean `log_level`?
    `/nested/dept` is unknown; did you mean `depth`?
    `/endpoint` is missing; it is required: Where to ask
    `/code` is `"abc"`; a text that matches `^[A-Z]{2}$`
    `/either` is `"abc"`; one of these forms: expected an integer; or at most 2 characters
    `/limit` is `0`; at least 1
    `/log_level` is `"loud"`; one of `"debug"`, `"info"`
    `/names` is `["a","bb","bb"]`; items that differ
    `/names/0` is `"a"`; at least 2 characters
    `/nested/depth` is `"deep"`; expected an integer
    "#);
}

#[test]
fn conditions_alternatives_and_references_are_followed() {
    let document = json!({
        "type": "object",
        "properties": {"mode": {"enum": ["file", "net"]}, "size": {"$ref": "#/$defs/size"}},
        "if": {"properties": {"mode": {"const": "net"}}, "required": ["mode"]},
        "then": {"properties": {"url": {"type": "string"}}, "required": ["url"]},
        "oneOf": [{"required": ["a"], "properties": {"a": {}}}, {"required": ["b"], "properties": {"b": {}}}],
        "$defs": {"size": {"type": "integer", "maximum": 5}},
    });
    insta::assert_snapshot!(complaints(document.clone(), json!({"mode": "net", "size": 6, "a": 1})), @"
    `/size` is `6`; at most 5
    `/url` is missing; it is required
    ");
    insta::assert_snapshot!(complaints(document.clone(), json!({"a": 1, "b": 2})), @"fits more than one of the allowed forms; exactly one");
    assert_eq!(complaints(document, json!({"mode": "net", "url": "x", "b": 1})), "");
}

#[test]
fn a_closed_schema_names_the_nearest_key_too_and_an_open_one_takes_all() {
    let closed = json!({"properties": {"path": {}}, "additionalProperties": false});
    assert_eq!(complaints(closed, json!({"pth": 1})), "`/pth` is unknown; did you mean `path`?\n");
    let open = json!({"properties": {"path": {}}, "additionalProperties": true});
    assert_eq!(complaints(open, json!({"anything": 1})), "");
    assert_eq!(complaints(json!({}), json!({"x": 1})), "`/x` is unknown; nothing can be configured here\n");
}

#[test]
fn the_value_of_a_sensitive_property_is_in_no_message() {
    let document = json!({
        "properties": {
            "api_token": {"type": "string", "minLength": 40},
            "hidden": {"sensitive": true, "oneOf": [{"type": "integer"}, {"pattern": "^x"}]},
            "pair": {"type": "object", "properties": {"inner": {"type": "integer", "sensitive": true}}},
        },
        "maxProperties": 2,
    });
    let text =
        complaints(document, json!({"api_token": "canary", "hidden": "canary", "pair": {"inner": "canary"}}));
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn a_schema_that_is_none_is_refused() {
    insta::assert_snapshot!(schema_complaints(json!({"type": "objekt"})), @r#"`/type` is no valid JSON Schema: is `"objekt"`; one of these forms: one of `"array"`, `"boolean"`, `"integer"`, `"null"`, `"number"`, `"object"`, `"string"`; or expected an array"#);
    insta::assert_snapshot!(schema_complaints(json!({"properties": {"a": {"pattern": "("}}})), @r#"`/properties/a/pattern` is no valid JSON Schema: is `"("`; a text in the format `regex`"#);
    insta::assert_snapshot!(schema_complaints(json!({"$ref": "https://example.com/schema.json"})), @"has a `$ref` that leads nowhere: Resource 'https://example.com/schema.json' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch https://example.com/schema.json; references inside the document, as in `#/$defs/name`; nothing is fetched");
    insta::assert_snapshot!(schema_complaints(json!({"$ref": "#/nowhere"})), @"has a `$ref` that leads nowhere: Pointer '/nowhere' does not exist; references inside the document, as in `#/$defs/name`; nothing is fetched");
    insta::assert_snapshot!(schema_complaints(json!({"type": "strin", "properties": {"a": {"minimum": "x"}}})), @r#"
    `/properties/a/minimum` is no valid JSON Schema: is `"x"`; expected a number
    `/type` is no valid JSON Schema: is `"strin"`; one of these forms: one of `"array"`, `"boolean"`, `"integer"`, `"null"`, `"number"`, `"object"`, `"string"`; or expected an array
    "#);
    insta::assert_snapshot!(schema_complaints(json!([1])), @"is no schema; an object");
}

#[test]
fn what_a_property_says_beside_its_schema_is_checked() {
    insta::assert_snapshot!(schema_complaints(json!({"properties": {
        "api_key": {"type": "string", "command_arg": true},
        "level": {"command_arg": "log level"},
        "path": {"volume_mount": "data"},
        "Path": {"volume_mount": 3},
        "weird": {"env_mapping": "A=B", "env_separator": ""},
    }})), @"
    `/properties/Path/volume_mount` is neither a boolean nor a text; `true`, `false` or a text
    `/properties/api_key/command_arg` would show a secret in the arguments; leave it to the environment, or say `sensitive: false`
    `/properties/level/command_arg` is `log level`; a flag as in `--log-level`, or `true`
    `/properties/path/volume_mount` is `data`; `true`, or an absolute path inside the container
    `/properties/path` is carried by `PATH`, and so is `Path`; each property has a variable of its own
    `/properties/weird` would be carried by `A=B`, which is no name of an environment variable; set `env_mapping`
    `/properties/weird/env_separator` is empty
    ");
}

#[test]
fn names_of_variables_and_secrets_follow_from_names_of_properties() {
    let schema = schema(json!({"properties": {
        "logLevel": {}, "allowed-dirs": {"env_separator": ":"}, "github_token": {}, "sort_key": {"sensitive": false},
        "mapped": {"env_mapping": "OTHER_PASSWORD"},
    }}));
    let check = |key: &str, env: &str, sensitive: bool| {
        let property = schema.property(key);
        assert_eq!((property.env.as_str(), property.sensitive), (env, sensitive), "{key}");
    };
    check("logLevel", "LOG_LEVEL", false);
    check("allowed-dirs", "ALLOWED_DIRS", false);
    check("github_token", "GITHUB_TOKEN", true);
    check("sort_key", "SORT_KEY", false);
    check("mapped", "OTHER_PASSWORD", true);
}

#[test]
fn text_becomes_what_the_schema_wants() {
    let schema = schema(json!({"properties": {
        "n": {"type": "integer"}, "f": {"type": ["number", "null"]}, "b": {"type": "boolean"}, "s": {"type": "string"},
        "list": {"type": "array", "items": {"type": "integer"}}, "paths": {"type": "array", "env_separator": ":"},
        "o": {"type": "object", "properties": {"deep": {"$ref": "#/$defs/flag"}}}, "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "choice": {"enum": ["1", 2]},
    }, "$defs": {"flag": {"type": "boolean"}}}));
    let check = |path: &[&str], text: &str, value: Value| {
        assert_eq!(schema.coerce(path, text), value, "{path:?} {text}");
    };
    check(&["n"], "42", json!(42));
    check(&["n"], "80a", json!("80a"));
    check(&["f"], "1e3", json!(1e3));
    check(&["f"], "null", json!(null));
    check(&["b"], "true", json!(true));
    check(&["b"], "yes", json!("yes"));
    check(&["s"], "42", json!("42"));
    check(&["list"], "1, 2,3", json!([1, 2, 3]));
    check(&["list"], "[1,2]", json!([1, 2]));
    check(&["list"], "", json!([]));
    check(&["paths"], "/a:/b", json!(["/a", "/b"]));
    check(&["o"], "{\"deep\": true}", json!({"deep": true}));
    check(&["o", "deep"], "false", json!(false));
    check(&["either"], "7", json!(7));
    check(&["either"], "x", json!("x"));
    check(&["choice"], "1", json!("1"));
    check(&["choice"], "2", json!(2));
    check(&["nobody"], "2", json!("2"));
}

#[test]
fn defaults_are_found_inside_objects_and_behind_references() {
    let schema = schema(json!({
        "required": ["a", "b", "c"],
        "properties": {"a": {"default": 1}, "b": {"type": "object", "properties": {"c": {"$ref": "#/$defs/x"}}}, "c": {}},
        "$defs": {"x": {"default": "y"}},
    }));
    assert_eq!(Value::Object(schema.defaults()), json!({"a": 1, "b": {"c": "y"}}));
    assert_eq!(schema.missing(&schema.defaults()), ["c"]);
}

#[test]
fn circles_of_references_end() {
    let schema = schema(json!({
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {
            "A": {"properties": {"n": {"$ref": "#/$defs/B"}}, "anyOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/A"}]},
            "B": {"properties": {"n": {"$ref": "#/$defs/A"}}, "allOf": [{"$ref": "#/$defs/A"}]},
        },
    }));
    assert!(schema.defaults().is_empty() && !schema.property("a").sensitive);
    assert_eq!(schema.coerce(&["a", "n", "n"], "x"), "x");
}

#[test]
fn references_that_fan_out_do_not_multiply() {
    let mut defs = Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        let wide: Vec<Value> = vec![next; 10];
        defs.insert(format!("L{level}"), json!({"allOf": wide, "properties": {"p": {"allOf": wide}}}));
    }
    defs.insert("L30".to_owned(), json!({"properties": {"deep_token": {"type": "string"}}}));
    // The validator itself would multiply: only our own walks are tried.
    let document = json!({"properties": {"a": {"$ref": "#/$defs/L0"}}, "$defs": defs});
    let mut violations = Violations::default();
    let properties = property::read_all(&document, &mut violations);
    assert!(properties["a"].sensitive);
    assert_eq!(coerce::coerce(&document, &["a"], "x", ","), "x");
    assert!(keys::allowed(&document, &document["$defs"]["L0"]).unwrap().contains("deep_token"));
}

#[test]
fn secrets_are_found_behind_references_and_inside_objects() {
    let schema = schema(json!({
        "properties": {
            "auth": {"$ref": "#/$defs/auth"},
            "mine": {"$ref": "#/$defs/auth", "env_mapping": "MINE", "sensitive": false},
            "db": {"properties": {"host": {}, "db_password": {}}},
            "list": {"items": {"properties": {"auth_token": {}}}},
            "odd": {"properties": {"default": {"sensitive": true}}},
            "harmless": {"properties": {"sort_key": {"sensitive": false}}},
            "said": {"sensitive": false, "properties": {"api_key": {}}},
        },
        "$defs": {"auth": {"sensitive": true, "env_mapping": "AUTHX"}},
    }));
    let secret: Vec<&str> = schema
        .properties()
        .iter()
        .filter(|(_, property)| property.sensitive)
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(secret, ["auth", "db", "list", "odd"]);
    assert_eq!(schema.property("auth").env, "AUTHX");
}
