//! How often a client may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// After so many requests, the clients that have been quiet for long are forgotten.
const SWEEP_EVERY: u32 = 10_000;

/// Who a client is to the limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The name of a token.
    Token(String),
    /// The address that a request came from; of IPv6 the network, for a host there has more than it could use up.
    Address(IpAddr),
}

impl Caller {
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self::Address(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => {
                Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
            }
            Some(address) => address,
            None => IpAddr::from([0, 0, 0, 0]),
        })
    }
}

/// So many requests a second, and as many at once.
#[derive(Debug)]
pub(crate) struct Rate {
    limiter: RateLimiter<Caller, HashMapStateStore<Caller>, DefaultClock>,
    asked: AtomicU32,
}

impl Rate {
    pub(crate) fn per_second(requests: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_second(requests)), asked: AtomicU32::new(0) }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// After which time the client may ask again.
    pub(crate) fn count(&self, caller: &Caller) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(caller).map_err(|early| early.wait_time_from(self.limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_held_back_and_another_is_not() {
        let rate = Rate::per_second(NonZeroU32::new(2).unwrap());
        let (one, other) = (Caller::Token("one".to_owned()), Caller::at("::1".parse().ok()));
        assert!(rate.count(&one).is_ok() && rate.count(&one).is_ok());
        let wait = rate.count(&one).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(rate.count(&other).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let at = |address: &str| Caller::at(address.parse().ok());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        // As a socket for both tells of a client by IPv4.
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("::ffff:192.0.2.1"), at("::ffff:192.0.2.2"));
    }

    #[test]
    fn who_has_been_quiet_is_forgotten() {
        let rate = Rate::per_second(NonZeroU32::new(1_000_000).unwrap());
        for number in 0..SWEEP_EVERY {
            rate.count(&Caller::Token(number.to_string())).unwrap();
        }
        assert!(rate.limiter.len() < SWEEP_EVERY as usize / 2, "{}", rate.limiter.len());
    }
}
