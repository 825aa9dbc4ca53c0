//! Moments as the API's types have them: those are of another version of the same library.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp as ApiTimestamp;

pub(crate) fn read(time: &Time) -> Timestamp {
    Timestamp::from_nanosecond(time.0.as_nanosecond()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The second that a moment is in: the API knows no parts of one, and its client would round up.
pub(crate) fn whole_second(timestamp: Timestamp) -> ApiTimestamp {
    ApiTimestamp::from_second(timestamp.as_second()).unwrap_or(ApiTimestamp::UNIX_EPOCH)
}
