//! The rate limit.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::failure::Failure;
use crm_chat_credentials::CredentialId;

const BURST: NonZeroU32 = NonZeroU32::new(50).unwrap();
const A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// After this many calls, the buckets that are empty again are dropped. Tokens come and go.
const CLEAN_EVERY: u64 = 1024;

type Limiter<C> = RateLimiter<
    CredentialId,
    HashMapStateStore<CredentialId>,
    C,
    NoOpMiddleware<<C as Clock>::Instant>,
>;

/// A leaky bucket for each credential that called of late.
pub(crate) struct Buckets<C: Clock = MonotonicClock> {
    limiter: Limiter<C>,
    poured: AtomicU64,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self::by(MonotonicClock)
    }
}

impl<C: Clock> Buckets<C> {
    fn by(clock: C) -> Self {
        let quota = Quota::per_second(A_SECOND).allow_burst(BURST);
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), clock),
            poured: AtomicU64::new(0),
        }
    }

    /// Pours one call into a credential's bucket, unless it would flow over.
    pub(crate) fn pour(&self, credential: &CredentialId) -> Result<(), Failure> {
        if self.poured.fetch_add(1, Ordering::Relaxed) % CLEAN_EVERY == CLEAN_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let flows_over = self.limiter.check_key(credential).is_err();
        if flows_over { Err(Failure::RateLimited) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn pours(buckets: &Buckets<FakeRelativeClock>, credential: &CredentialId) -> usize {
        std::iter::repeat_with(|| buckets.pour(credential)).take_while(Result::is_ok).count()
    }

    #[test]
    fn a_bucket_holds_50_and_drains_2_a_second() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::by(clock.clone());
        let [one, other] = ["one", "other"].map(CredentialId::new);

        assert_eq!(pours(&buckets, &one), 50);
        clock.advance(Duration::from_millis(499));
        assert_eq!(pours(&buckets, &one), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(pours(&buckets, &one), 1);
        clock.advance(Duration::from_secs(3));
        assert_eq!(pours(&buckets, &one), 6);
        assert_eq!(pours(&buckets, &other), 50);
        clock.advance(Duration::from_secs(25));
        assert_eq!(pours(&buckets, &one), 50);
    }

    #[test]
    fn buckets_that_are_empty_again_are_dropped() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::by(clock.clone());
        for number in 0..10 * CLEAN_EVERY {
            clock.advance(Duration::from_secs(1));
            let token = CredentialId::new(format!("token:{number}"));
            buckets.pour(&token).expect("its first call");
        }
        let kept = u64::try_from(buckets.limiter.len()).expect("a small number");
        assert!(kept <= CLEAN_EVERY + 1, "{kept}");
    }
}
