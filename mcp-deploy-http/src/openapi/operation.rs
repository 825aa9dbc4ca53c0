//! One operation, put together piece by piece: parameters, body, answers, problems.

use actix_web::http::StatusCode;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::example::Example;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Content, ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
};

use super::problems;
use crate::auth::Role;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A schema that has a name in the document.
pub(super) type Named = (String, RefOr<Schema>);

/// Examples of a body, by name.
type Examples<'a> = &'a [(&'a str, Value)];

/// An operation of the document.
pub(crate) struct Operation {
    builder: OperationBuilder,
    description: String,
    body: Option<RequestBody>,
    answers: Vec<(StatusCode, ResponseBuilder)>,
    problems: Vec<StatusCode>,
    wants_token: bool,
    schemas: Vec<Named>,
}

impl Operation {
    /// One that wants a token, and takes no unknown query parameter.
    pub(super) fn new(tag: &str, summary: &str) -> Self {
        let operation = Self {
            builder: OperationBuilder::new().tag(tag).summary(Some(summary)),
            description: String::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            wants_token: true,
            schemas: Vec::new(),
        };
        operation.fails(&problems::OF_THE_SERVER).fails(&problems::OF_A_CLIENT)
    }

    /// One that is open to whoever may call at all.
    pub(super) fn open(tag: &str, summary: &str) -> Self {
        let operation = Self::new(tag, summary);
        Self { problems: problems::OF_THE_SERVER.to_vec(), wants_token: false, ..operation }
    }

    /// What the summary does not say.
    pub(super) fn says(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    /// A part of the path.
    pub(super) fn path(
        self,
        name: &str,
        schema: impl Into<RefOr<Schema>>,
        example: &str,
        description: &str,
    ) -> Self {
        let parameter = parameter(name, ParameterIn::Path, schema, description);
        self.parameter(parameter.required(Required::True).example(Some(example.into())))
    }

    /// A parameter after the `?`.
    pub(super) fn query(self, name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Self {
        self.parameter(parameter(name, ParameterIn::Query, schema, description))
    }

    /// A header of the request.
    pub(super) fn header(self, name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Self {
        self.parameter(parameter(name, ParameterIn::Header, schema, description))
    }

    fn parameter(mut self, parameter: ParameterBuilder) -> Self {
        self.builder = self.builder.parameter(parameter);
        self
    }

    /// A body of JSON.
    pub(super) fn body<T: ToSchema>(mut self, required: Required, examples: Examples) -> Self {
        let content = content(self.named::<T>(), examples);
        self.body = Some(RequestBodyBuilder::new().required(Some(required)).content(JSON, content).build());
        self.fails(&problems::OF_A_BODY)
    }

    /// The body also as text of another media type.
    pub(super) fn or_text_body(mut self, media_type: &str, examples: Examples) -> Self {
        if let Some(body) = &mut self.body {
            body.content.insert(media_type.to_owned(), content(text(), examples).into());
        }
        self
    }

    /// An answer of JSON.
    pub(super) fn answers<T: ToSchema>(mut self, status: StatusCode, description: &str) -> Self {
        let content = Content::new(Some(self.named::<T>()));
        self.answers.push((status, response(description).content(JSON, content)));
        self
    }

    /// An answer of text.
    pub(super) fn answers_text(mut self, media_type: &str, description: &str) -> Self {
        let answer = response(description).content(media_type, Content::new(Some(text())));
        self.answers.push((StatusCode::OK, answer));
        self
    }

    /// An answer of events, which words describe: OpenAPI 3.1 has no schema for the parts of a stream.
    pub(super) fn answers_events(mut self, description: &str) -> Self {
        self.answers.push((StatusCode::OK, response(description).content(EVENTS, Content::default())));
        self
    }

    /// The last answer also as events, where the client accepts them.
    pub(super) fn or_events(mut self) -> Self {
        let last = self.answers.pop();
        let events =
            |(status, answer): (_, ResponseBuilder)| (status, answer.content(EVENTS, Content::default()));
        self.answers.extend(last.map(events));
        self
    }

    /// A header of the last answer.
    pub(super) fn sends(mut self, name: &str, description: &str) -> Self {
        let last = self.answers.pop();
        self.answers.extend(last.map(|(status, answer)| (status, answer.header(name, header(description)))));
        self
    }

    /// The statuses of problems that it may end with.
    pub(super) fn fails(mut self, statuses: &[StatusCode]) -> Self {
        self.problems.extend(statuses);
        self
    }

    /// The one operation of a path, and the schemas that it names.
    pub(super) fn of_path(self, id: &str, method: HttpMethod, role: Role) -> (PathItem, Vec<Named>) {
        let Self { mut builder, mut description, body, answers, mut problems, wants_token, schemas } = self;
        if wants_token {
            let role = role.as_str();
            let needed = format!("Where tokens are wanted, one of the role `{role}` is needed.");
            let separator = if description.is_empty() { "" } else { "\n\n" };
            description = description + separator + &needed;
        } else {
            builder = builder.security(SecurityRequirement::default());
        }
        for (status, answer) in answers {
            builder = builder.response(status.as_str(), answer);
        }
        problems.sort_unstable();
        problems.dedup();
        for status in problems {
            builder = builder.response(status.as_str(), problems::reference(status));
        }
        let operation = builder
            .operation_id(Some(id))
            .description(Some(description).filter(|description| !description.is_empty()))
            .parameter_ref(Ref::new("#/components/parameters/X-Request-Id"))
            .request_body(body);
        (PathItem::new(method, operation), schemas)
    }

    /// A reference to the schema of a type, which gets into the document with all that it refers to itself.
    fn named<T: ToSchema>(&mut self) -> Ref {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name())
    }
}

fn parameter(
    name: &str,
    place: ParameterIn,
    schema: impl Into<RefOr<Schema>>,
    description: &str,
) -> ParameterBuilder {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
    let mut schema = schema.into();
    if let RefOr::T(Schema::Object(schema)) = &mut schema {
        // The parameter has a description of its own.
        schema.description = None;
    }
    parameter.schema(Some(schema)).description(Some(description))
}

fn content(schema: impl Into<RefOr<Schema>>, examples: Examples) -> Content {
    let examples = examples.iter().map(|(name, value)| (*name, example(value.clone())));
    ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
}

pub(super) fn example(value: Value) -> Example {
    let mut example = Example::new();
    example.value = Some(value);
    example
}

/// An answer, with the header that all of them have.
pub(super) fn response(description: &str) -> ResponseBuilder {
    let id = Ref::new("#/components/headers/X-Request-Id");
    ResponseBuilder::new().description(description).header_ref("X-Request-Id", id)
}

pub(super) fn header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(text())).description(Some(description)).build()
}

/// The header that all answers have.
pub(super) fn request_id() -> Header {
    header("The id of the request, as it stands in a problem and in the server's log.")
}

/// The header that every request may have.
pub(super) fn own_request_id() -> Parameter {
    let description = "An id of the client's own for the request: up to 128 letters, digits and `-_.:/+=`. Where it \
                       is absent, or something else, the server makes one.";
    parameter("X-Request-Id", ParameterIn::Header, text(), description).build()
}

pub(super) fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}
