//! The rate limit of each credential.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::Quota;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;

use crate::error::ApiError;
use crm_chat_credentials::CredentialId;

const BURST: NonZeroU32 = NonZeroU32::new(50).unwrap();
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// The number of checks after which empty buckets are removed. Tokens come and go, so the map would
/// grow without end.
const CLEAN_UP_EVERY: u64 = 1024;

type Buckets<C> = governor::RateLimiter<
    CredentialId,
    HashMapStateStore<CredentialId>,
    C,
    NoOpMiddleware<<C as Clock>::Instant>,
>;

/// A leaky bucket for each credential that was used recently.
pub(crate) struct RateLimiter<C: Clock = MonotonicClock> {
    buckets: Buckets<C>,
    checks: AtomicU64,
}

impl RateLimiter {
    pub(crate) fn new() -> Self {
        Self::with_clock(MonotonicClock)
    }
}

impl<C: Clock> RateLimiter<C> {
    fn with_clock(clock: C) -> Self {
        let quota = Quota::per_second(PER_SECOND).allow_burst(BURST);
        Self {
            buckets: Buckets::new(quota, HashMapStateStore::default(), clock),
            checks: AtomicU64::new(0),
        }
    }

    /// Adds one request to the bucket of a credential, or returns an error if the bucket is full.
    pub(crate) fn check(&self, credential: &CredentialId) -> Result<(), ApiError> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEAN_UP_EVERY == CLEAN_UP_EVERY - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        let is_full = self.buckets.check_key(credential).is_err();
        if is_full { Err(ApiError::RateLimited) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn accepted(limiter: &RateLimiter<FakeRelativeClock>, credential: &CredentialId) -> usize {
        std::iter::repeat_with(|| limiter.check(credential)).take_while(Result::is_ok).count()
    }

    #[test]
    fn bucket_holds_50_requests_and_drains_2_per_second() {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::with_clock(clock.clone());
        let [first, second] = ["first", "second"].map(CredentialId::new);

        assert_eq!(accepted(&limiter, &first), 50);
        clock.advance(Duration::from_millis(499));
        assert_eq!(accepted(&limiter, &first), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(accepted(&limiter, &first), 1);
        clock.advance(Duration::from_secs(3));
        assert_eq!(accepted(&limiter, &first), 6);
        assert_eq!(accepted(&limiter, &second), 50);
        clock.advance(Duration::from_secs(25));
        assert_eq!(accepted(&limiter, &first), 50);
    }

    #[test]
    fn empty_buckets_are_removed() {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::with_clock(clock.clone());
        for number in 0..10 * CLEAN_UP_EVERY {
            clock.advance(Duration::from_secs(1));
            let token = CredentialId::new(format!("token:{number}"));
            limiter.check(&token).expect("the first request of a token is accepted");
        }
        let kept = u64::try_from(limiter.buckets.len()).expect("a small number");
        assert!(kept <= CLEAN_UP_EVERY + 1, "{kept}");
    }
}
