//! Objects for a memory of many: as JSON they take a fraction of the room of their types, most of whose fields are
//! empty.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value as JSON.
#[derive(Debug)]
pub(crate) struct Packed<T>(Box<[u8]>, PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> Packed<T> {
    pub(crate) fn of(value: &T) -> Self {
        let json = serde_json::to_vec(value).expect("an object of the API is JSON");
        Self(json.into(), PhantomData)
    }

    pub(crate) fn open(&self) -> T {
        serde_json::from_slice(&self.0).expect("it was written by `of`")
    }
}
