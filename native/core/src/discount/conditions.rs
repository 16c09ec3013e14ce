//! Whether an offer holds for a customer and a cart, and if not, why.

use super::cart::Cart;
use super::config::{Config, Offer, Trigger};
use super::customer::Customer;

/// Why an offer does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The discount was not created for this class.
    ClassNotAllowed,
    CodeMissing,
    CodeDiffers,
    CodeNotOwned,
    NotAMember,
    CustomerUnreadable,
    TierDiffers,
    SegmentDiffers,
    CountryDiffers,
    NotStarted,
    Ended,
    NothingEligible,
    MinimumSubtotal,
    NoReservation,
    NoPoints,
    NoDelivery,
    /// Less than one minor unit is left after rounding.
    RoundedToNothing,
    /// Another offer of the discount takes more, and only one of the class can apply.
    BetterOffer,
    /// Other offers with a higher rate took all lines.
    LinesTaken,
    /// The amounts do not fit into 64 bits.
    Overflow,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::ClassNotAllowed => "CLASS_NOT_ALLOWED",
            Reason::CodeMissing => "CODE_MISSING",
            Reason::CodeDiffers => "CODE_DIFFERS",
            Reason::CodeNotOwned => "CODE_NOT_OWNED",
            Reason::NotAMember => "NOT_A_MEMBER",
            Reason::CustomerUnreadable => "CUSTOMER_UNREADABLE",
            Reason::TierDiffers => "TIER_DIFFERS",
            Reason::SegmentDiffers => "SEGMENT_DIFFERS",
            Reason::CountryDiffers => "COUNTRY_DIFFERS",
            Reason::NotStarted => "NOT_STARTED",
            Reason::Ended => "ENDED",
            Reason::NothingEligible => "NOTHING_ELIGIBLE",
            Reason::MinimumSubtotal => "MINIMUM_SUBTOTAL",
            Reason::NoReservation => "NO_RESERVATION",
            Reason::NoPoints => "NO_POINTS",
            Reason::NoDelivery => "NO_DELIVERY",
            Reason::RoundedToNothing => "ROUNDED_TO_NOTHING",
            Reason::BetterOffer => "BETTER_OFFER",
            Reason::LinesTaken => "LINES_TAKEN",
            Reason::Overflow => "OVERFLOW",
        }
    }
}

/// Checks all conditions that do not concern the lines. Returns the entered code that the offer answers to, where
/// that is another than the one which made Shopify run the discount: the discount has to name it.
pub(crate) fn check<'c>(
    offer: &Offer,
    config: &Config,
    customer: &Customer,
    cart: &Cart<'c>,
) -> Result<Option<&'c str>, Reason> {
    if offer.members_only {
        match customer {
            Customer::Guest => return Err(Reason::NotAMember),
            Customer::Unreadable(_) => return Err(Reason::CustomerUnreadable),
            Customer::Member(_) => {}
        }
    }
    let code = matching_code(offer, customer, cart)?;
    let member = customer.member();
    let tier = member.and_then(|member| member.tier.as_ref());
    if !offer.tiers.is_empty() && !tier.is_some_and(|tier| offer.tiers.contains(tier)) {
        return Err(Reason::TierDiffers);
    }
    let segments = member.map_or(&[][..], |member| &member.segments);
    if !offer.segments.is_empty()
        && !segments
            .iter()
            .any(|segment| offer.segments.contains(segment))
    {
        return Err(Reason::SegmentDiffers);
    }
    let in_country = |country: &String| country.eq_ignore_ascii_case(cart.country);
    if !offer.countries.is_empty() && !offer.countries.iter().any(in_country) {
        return Err(Reason::CountryDiffers);
    }
    let reached = |moment| cart.clock.has_reached(moment, config);
    if offer
        .starts_at
        .as_ref()
        .is_some_and(|moment| !reached(moment))
    {
        return Err(Reason::NotStarted);
    }
    if offer.ends_at.as_ref().is_some_and(reached) {
        return Err(Reason::Ended);
    }
    Ok(code)
}

fn matching_code<'c>(
    offer: &Offer,
    customer: &Customer,
    cart: &Cart<'c>,
) -> Result<Option<&'c str>, Reason> {
    let (codes, otherwise) = match offer.trigger {
        Trigger::Automatic => return Ok(None),
        Trigger::Code if offer.codes.is_empty() => {
            return cart.code.map(|_| None).ok_or(Reason::CodeMissing);
        }
        Trigger::Code => (&offer.codes, Reason::CodeDiffers),
        Trigger::OwnedCode => match customer.member() {
            Some(member) => (&member.codes, Reason::CodeNotOwned),
            None => return Err(Reason::NotAMember),
        },
    };
    // Shopify does not tell upper from lower case in codes either.
    let fits = |code: &str| codes.iter().any(|known| known.eq_ignore_ascii_case(code));
    if let Some(code) = cart.code {
        // A code discount answers to the code that started it and to no other.
        return if fits(code) { Ok(None) } else { Err(otherwise) };
    }
    if cart.entered_codes.is_empty() {
        return Err(Reason::CodeMissing);
    }
    let entered = cart.entered_codes.iter().find(|code| fits(code));
    entered.map(|code| Some(*code)).ok_or(otherwise)
}
