//! CPU and memory, in the notation of Kubernetes quantities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of CPU time, in thousandths of one core: `500m`, `0.5`, `2`.
///
/// The smallest is `1m`, the largest 1,000 cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9]+m?$"))]
pub struct Cpu(u64);

impl Cpu {
    const MAX: u64 = 1_000_000;

    /// So many thousandths of a core; `None` where that is 0 or over 1,000 cores.
    pub const fn from_millicores(millicores: u64) -> Option<Self> {
        if millicores == 0 || Self::MAX < millicores { None } else { Some(Self(millicores)) }
    }

    /// In thousandths of a core.
    pub const fn millicores(self) -> u64 {
        self.0
    }
}

/// An amount of memory in bytes: `512Mi`, `1G`, `134217728`.
///
/// Units are Kubernetes': `Ki Mi Gi Ti` (powers of 1024) and `k M G T` (powers of 1000). The smallest amount
/// is 4 MiB, below which no container starts; the largest is 64 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9]+(Ki|Mi|Gi|Ti)?$"))]
pub struct Memory(u64);

impl Memory {
    const MIN: u64 = 4 << 20;
    const MAX: u64 = 64 << 40;

    /// So many MiB; `None` outside 4 MiB to 64 TiB.
    pub const fn from_mebibytes(mebibytes: u64) -> Option<Self> {
        match mebibytes.checked_mul(1 << 20) {
            Some(bytes) if Self::MIN <= bytes && bytes <= Self::MAX => Some(Self(bytes)),
            _ => None,
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no amount of {what}: {reason}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
    reason: String,
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error =
            |reason: &str| QuantityError { text: text.to_owned(), what: "CPU", reason: reason.to_owned() };
        let millicores = match text.strip_suffix('m') {
            Some(number) => scaled(number, 1),
            None => scaled(text, 1000),
        };
        let millicores =
            millicores.map_err(|reason| error(reason.unwrap_or("write it like `500m`, `0.5` or `2`")))?;
        Self::from_millicores(millicores).ok_or_else(|| error("it must be from `1m` to `1000`"))
    }
}

impl FromStr for Memory {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const UNITS: [(&str, u64); 8] = [
            ("Ki", 1 << 10),
            ("Mi", 1 << 20),
            ("Gi", 1 << 30),
            ("Ti", 1 << 40),
            ("k", 1_000),
            ("M", 1_000_000),
            ("G", 1_000_000_000),
            ("T", 1_000_000_000_000),
        ];
        let error = |reason: String| QuantityError { text: text.to_owned(), what: "memory", reason };
        let unit =
            UNITS.iter().find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, *scale)));
        let (number, scale) = unit.unwrap_or((text, 1));
        if let Some(number) = number.strip_suffix('m').filter(|number| scaled(number, 1).is_ok()) {
            // Docker's `512m` is 512 MiB, Kubernetes' `512m` is half a byte: neither is guessed.
            return Err(error(format!("`m` is a thousandth in Kubernetes; write `{number}Mi`")));
        }
        let bytes = scaled(number, scale)
            .map_err(|reason| error(reason.unwrap_or("write it like `512Mi`, `1Gi` or `500M`").to_owned()))?;
        if !(Self::MIN..=Self::MAX).contains(&bytes) {
            return Err(error("it must be from `4Mi` to `64Ti`".to_owned()));
        }
        Ok(Self(bytes))
    }
}

/// `number * scale` in whole units, where `number` is plain decimal: digits, and perhaps a fraction.
///
/// The error is a reason, or `None` where the text is no number at all.
fn scaled(number: &str, scale: u64) -> Result<u64, Option<&'static str>> {
    const TOO_LARGE: Option<&str> = Some("it is too large");
    if number.starts_with('-') && number.len() > 1 {
        return Err(Some("it is negative"));
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return Err(None);
    }
    let whole: u64 = whole.parse().map_err(|_| TOO_LARGE)?;
    let mut total = whole.checked_mul(scale).ok_or(TOO_LARGE)?;
    if !fraction.is_empty() {
        if fraction.len() > 9 {
            return Err(Some("it has more than 9 decimals"));
        }
        let numerator: u128 = fraction.parse::<u128>().map_err(|_| None)? * u128::from(scale);
        let denominator = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(9));
        if !numerator.is_multiple_of(denominator) && scale <= 1000 {
            return Err(Some("it is finer than the smallest unit"));
        }
        let part = u64::try_from(numerator / denominator).map_err(|_| TOO_LARGE)?;
        total = total.checked_add(part).ok_or(TOO_LARGE)?;
    }
    Ok(total)
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

macro_rules! quantity_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// From a text, or from a bare number as authors write it in YAML (`cpu: 2`).
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match serde_json::Value::deserialize(deserializer)? {
                    serde_json::Value::String(text) => text.parse().map_err(de::Error::custom),
                    serde_json::Value::Number(number) => {
                        number.to_string().parse().map_err(de::Error::custom)
                    }
                    _ => Err(de::Error::custom("a quantity is a text like `500m` or `512Mi`, or a number")),
                }
            }
        }
    };
}

quantity_serde!(Cpu);
quantity_serde!(Memory);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpu_reads_cores_and_thousandths() {
        for (text, millicores, shown) in
            [("500m", 500, "500m"), ("0.5", 500, "500m"), ("2", 2000, "2"), ("1.250", 1250, "1250m")]
        {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!((cpu.millicores(), cpu.to_string().as_str()), (millicores, shown));
        }
        for text in ["", "m", "-1", "0", "1e400", "1.0005", ".5", "1.", "NaN", "2000", "1 "] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }

    #[test]
    fn memory_reads_binary_and_decimal_units() {
        for (text, bytes, shown) in [
            ("512Mi", 512 << 20, "512Mi"),
            ("1G", 1_000_000_000, "1000000000"),
            ("1.5Gi", 1536 << 20, "1536Mi"),
            ("134217728", 128 << 20, "128Mi"),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!((memory.bytes(), memory.to_string().as_str()), (bytes, shown));
        }
    }

    #[test]
    fn bad_memory_says_what_is_wrong() {
        let complaint = |text: &str| text.parse::<Memory>().unwrap_err().to_string();
        insta::assert_snapshot!(complaint("12XB"), @"`12XB` is no amount of memory: write it like `512Mi`, `1Gi` or `500M`");
        insta::assert_snapshot!(complaint("-1"), @"`-1` is no amount of memory: it is negative");
        insta::assert_snapshot!(complaint("1e400"), @"`1e400` is no amount of memory: write it like `512Mi`, `1Gi` or `500M`");
        insta::assert_snapshot!(complaint("512m"), @"`512m` is no amount of memory: `m` is a thousandth in Kubernetes; write `512Mi`");
        insta::assert_snapshot!(complaint("1Ki"), @"`1Ki` is no amount of memory: it must be from `4Mi` to `64Ti`");
        insta::assert_snapshot!(complaint("99999999999999999999999"), @"`99999999999999999999999` is no amount of memory: it is too large");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(millicores in 1_u64..=1_000_000, bytes in (4_u64 << 20)..=(64_u64 << 40)) {
            let cpu = Cpu::from_millicores(millicores).unwrap();
            prop_assert_eq!(cpu.to_string().parse::<Cpu>().unwrap(), cpu);
            let memory: Memory = bytes.to_string().parse().unwrap();
            prop_assert_eq!(memory.to_string().parse::<Memory>().unwrap(), memory);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<Cpu>();
            let _ = text.parse::<Memory>();
        }
    }
}
