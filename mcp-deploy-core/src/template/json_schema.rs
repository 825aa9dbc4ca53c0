//! The JSON Schema of a template's document, and the proof that it says what the parser does.

/// The JSON Schema (draft 2020-12) of a template, for editors: every field of both generations. It lets unknown
/// fields in, as [`Template::parse`](super::Template::parse) does with a warning.
pub const TEMPLATE_SCHEMA: &str = include_str!("../../template.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::{DeserializeOwned, Deserializer, Visitor, value::Error};
    use serde::forward_to_deserialize_any;
    use serde_json::{Map, Value, json};

    use super::super::{Template, read, tool_tests, tools, transport};
    use super::*;
    use crate::schema::Extensions;
    use crate::{
        Autoscaling, Exposure, Health, Peer, Placement, ResourceAmounts, Resources, Security, Volume,
    };

    fn schema() -> Value {
        serde_json::from_str(TEMPLATE_SCHEMA).unwrap()
    }

    fn validator() -> jsonschema::Validator {
        jsonschema::options().offline().build(&schema()).unwrap()
    }

    /// A template with the fields that every one needs, and one more.
    fn with(field: &str, value: &Value) -> Value {
        let mut document =
            json!({"id": "demo", "name": "Demo", "description": "Greets.", "version": "1.0.0"});
        document[field] = value.clone();
        document
    }

    /// The names that a `properties` of the schema has.
    fn described(pointer: &str) -> BTreeSet<String> {
        let schema = schema();
        let properties = schema.pointer(pointer).and_then(Value::as_object);
        properties.unwrap_or_else(|| panic!("no {pointer}")).keys().cloned().collect()
    }

    fn names(fields: &[&str]) -> BTreeSet<String> {
        fields.iter().map(|&field| field.to_owned()).collect()
    }

    /// The fields that a derived `Deserialize` reads.
    fn fields_of<T: DeserializeOwned>() -> BTreeSet<String> {
        struct Asked(&'static [&'static str]);

        impl<'de> Deserializer<'de> for &mut Asked {
            type Error = Error;

            fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
                Err(serde::de::Error::custom("only structs are asked for their fields"))
            }

            fn deserialize_struct<V: Visitor<'de>>(
                self,
                _: &'static str,
                fields: &'static [&'static str],
                visitor: V,
            ) -> Result<V::Value, Error> {
                self.0 = fields;
                self.deserialize_any(visitor)
            }

            forward_to_deserialize_any! {
                bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
                unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
            }
        }

        let mut asked = Asked(&[]);
        assert!(T::deserialize(&mut asked).is_err());
        assert!(!asked.0.is_empty(), "no struct");
        names(asked.0)
    }

    #[test]
    fn it_is_a_schema_with_a_description_for_every_field() {
        assert!(jsonschema::meta::is_valid(&schema()));
        for (field, property) in schema()["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|text| text.ends_with('.')), "{field}");
        }
    }

    #[test]
    fn it_has_the_fields_that_the_parser_reads_and_no_other() {
        assert_eq!(described("/properties"), names(&read::known_fields()));
    }

    #[test]
    fn it_has_the_fields_of_every_part_and_no_other() {
        let part = |pointer: &str| described(&format!("/properties/{pointer}/properties"));
        assert_eq!(part("transport/anyOf/1"), fields_of::<transport::Written>());
        assert_eq!(part("volumes/items"), fields_of::<Volume>());
        assert_eq!(part("tools/items"), fields_of::<tools::Written>());
        assert_eq!(part("tests/items"), tool_tests::FIELDS.map(str::to_owned).into());
        assert_eq!(part("health"), fields_of::<Health>());
        assert_eq!(part("resources"), fields_of::<Resources>());
        assert_eq!(described("/$defs/amounts/properties"), fields_of::<ResourceAmounts>());
        assert_eq!(part("autoscaling"), fields_of::<Autoscaling>());
        assert_eq!(part("placement"), fields_of::<Placement>());
        assert_eq!(part("security"), fields_of::<Security>());
        assert_eq!(part("network/anyOf/1/properties/allow/items"), fields_of::<Peer>());
        assert_eq!(part("exposure"), fields_of::<Exposure>());
        assert_eq!(
            part("config_schema/properties/properties/additionalProperties"),
            fields_of::<Extensions>()
        );
    }

    #[test]
    fn what_the_parser_refuses_for_its_type_the_schema_refuses_too() {
        let values = [
            json!(true),
            json!(-1),
            json!(1.5),
            json!(70_000),
            json!(5_000_000_000_u64),
            json!(""),
            json!("two words"),
            json!([[]]),
            json!([{"a": []}]),
            json!({"a": []}),
            json!({"a": {"b": 1}}),
        ];
        let validator = validator();
        let check = |document: Value| {
            if Template::from_value(document.clone(), None).is_err() {
                assert!(
                    !validator.is_valid(&document),
                    "the schema lets in what the parser refuses: {document}"
                );
            }
        };
        for field in read::known_fields() {
            for value in &values {
                // What a schema inside has to be like, no schema can say.
                if field != "config_schema" && field != "default_config" {
                    check(with(field, value));
                }
            }
        }
        for part in ["transport", "health", "resources", "autoscaling", "placement", "security", "exposure"] {
            let properties = schema()["properties"][part].clone();
            let properties =
                properties.pointer("/anyOf/1/properties").or_else(|| properties.get("properties"));
            for key in properties.and_then(Value::as_object).unwrap().keys() {
                for value in &values {
                    let mut fields = Map::from_iter([(key.clone(), value.clone())]);
                    if part == "autoscaling" {
                        fields.entry("max_replicas").or_insert(json!(2));
                    }
                    check(with(part, &Value::Object(fields)));
                }
            }
        }
    }

    #[test]
    fn what_a_template_has_to_have_the_schema_demands() {
        for field in ["name", "description", "version"] {
            for value in [Value::Null, json!(" ")] {
                let document = with(field, &value);
                assert!(
                    Template::from_value(document.clone(), None).is_err() && !validator().is_valid(&document)
                );
            }
        }
    }

    #[test]
    fn a_template_in_every_accepted_form_is_valid() {
        let documents = [
            json!({
                "id": null, "author": null, "docker_image": "team/demo", "docker_tag": "1.2", "exposed_port": "7071",
                "environment_variables": {"A": 1, "B": true, "C": "x y", "D": null}, "command": "serve",
                "volume_mounts": ["/app/data:/data", "cache:/cache"], "args": ["--port", 7071, null],
                "transport": "stdio", "pull_policy": "missing", "replicas": 2, "network": "none",
                "capabilities": ["x"], "examples": {"y": 1}, "origin": "internal", "zzz": "unknown",
            }),
            json!({
                "ports": {"7071": 7071}, "transport": {"default": "stdio", "supported": ["stdio", "http"], "path": "/rpc"},
                "config_schema": {"type": "object", "properties": {
                    "dirs": {"type": "array", "env_mapping": "DIRS", "env_separator": ":", "volume_mount": true},
                    "level": {"type": "string", "command_arg": "--level", "sensitive": false}, "any": true,
                }},
                "default_config": {"level": "info"},
                "tools": [{"name": "a", "parameters": [{"name": "who"}]}, {"name": "b", "inputSchema": {}}],
                "health": {"liveness": "/x", "interval": "1m30s", "timeout": 3, "retries": 2},
                "resources": {"limits": {"cpu": 1, "memory": "64Mi", "pids": 9}, "requests": {"cpu": "0.5"}},
                "volumes": [{"name": "data", "path": "/data", "size": "1Gi", "access_mode": "ReadWriteMany"}],
                "autoscaling": {"max_replicas": 3}, "security": {"run_as_user": "image", "read_only_root": false},
                "network": {"allow": [{"cidr": "10.0.0.0/8", "ports": [443]}]}, "restart": "on-failure",
                "exposure": {"host": "x.example", "insecure": true}, "placement": {"node_selector": {"a": "b"}},
            }),
        ];
        for fields in documents {
            let mut document = json!({"name": "Demo", "description": "Greets.", "version": "1.0.0"});
            document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Template::from_value(document.clone(), Some("demo")).unwrap();
            assert_valid(&document);
        }
    }

    #[test]
    fn the_built_in_templates_are_valid() {
        for text in [
            include_str!("../../templates/demo/template.json"),
            include_str!("../../templates/file-server/template.json"),
        ] {
            assert_valid(&serde_json::from_str(text).unwrap());
        }
    }

    fn assert_valid(document: &Value) {
        let validator = validator();
        let errors: Vec<String> = validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
