//! Why something earned nothing: the words of a trace.

/// Why an order earned no points, or why a rule or multiplier did not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    ProgramOff,
    TestOrder,
    NoCustomer,
    /// No line is left once exclusions, gift cards and discounts are taken out.
    NothingEligible,
    /// All that is eligible was refunded, or paid with tenders that the program does not count.
    NothingCounted,
    NoRuleFired,
    /// The order's currency is not the program's, and neither a rate of its own nor an exchange rate is known.
    CurrencyWithoutRate,
    RoundedToZero,
    CappedToZero,
    NotStarted,
    Ended,
    TierDiffers,
    SegmentDiffers,
    CountryDiffers,
    NotFirstOrder,
    SignupUnknown,
    TooLongAfterSignup,
    NoMatchingLine,
    BelowMinimum,
    GoalNotReached,
    /// Under best-of stacking another multiplier gave at least as much.
    BetterMultiplier,
}

impl Reason {
    pub const ALL: [Reason; 21] = [
        Reason::ProgramOff,
        Reason::TestOrder,
        Reason::NoCustomer,
        Reason::NothingEligible,
        Reason::NothingCounted,
        Reason::NoRuleFired,
        Reason::CurrencyWithoutRate,
        Reason::RoundedToZero,
        Reason::CappedToZero,
        Reason::NotStarted,
        Reason::Ended,
        Reason::TierDiffers,
        Reason::SegmentDiffers,
        Reason::CountryDiffers,
        Reason::NotFirstOrder,
        Reason::SignupUnknown,
        Reason::TooLongAfterSignup,
        Reason::NoMatchingLine,
        Reason::BelowMinimum,
        Reason::GoalNotReached,
        Reason::BetterMultiplier,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::ProgramOff => "PROGRAM_OFF",
            Reason::TestOrder => "TEST_ORDER",
            Reason::NoCustomer => "NO_CUSTOMER",
            Reason::NothingEligible => "NOTHING_ELIGIBLE",
            Reason::NothingCounted => "NOTHING_COUNTED",
            Reason::NoRuleFired => "NO_RULE_FIRED",
            Reason::CurrencyWithoutRate => "CURRENCY_WITHOUT_RATE",
            Reason::RoundedToZero => "ROUNDED_TO_ZERO",
            Reason::CappedToZero => "CAPPED_TO_ZERO",
            Reason::NotStarted => "NOT_STARTED",
            Reason::Ended => "ENDED",
            Reason::TierDiffers => "TIER_DIFFERS",
            Reason::SegmentDiffers => "SEGMENT_DIFFERS",
            Reason::CountryDiffers => "COUNTRY_DIFFERS",
            Reason::NotFirstOrder => "NOT_FIRST_ORDER",
            Reason::SignupUnknown => "SIGNUP_UNKNOWN",
            Reason::TooLongAfterSignup => "TOO_LONG_AFTER_SIGNUP",
            Reason::NoMatchingLine => "NO_MATCHING_LINE",
            Reason::BelowMinimum => "BELOW_MINIMUM",
            Reason::GoalNotReached => "GOAL_NOT_REACHED",
            Reason::BetterMultiplier => "BETTER_MULTIPLIER",
        }
    }
}
