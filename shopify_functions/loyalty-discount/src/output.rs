//! Writes an outcome as Shopify's operations.

use super::schema::{
    AssociatedDiscountCode, CartLineTarget, CartOperation, DeliveryDiscountCandidate,
    DeliveryDiscountCandidateTarget, DeliveryDiscountCandidateValue,
    DeliveryDiscountSelectionStrategy, DeliveryDiscountsAddOperation, DeliveryGroupTarget,
    DeliveryOperation, FixedAmount, OrderDiscountCandidate, OrderDiscountCandidateTarget,
    OrderDiscountCandidateValue, OrderDiscountSelectionStrategy, OrderDiscountsAddOperation,
    OrderSubtotalTarget, Percentage, ProductDiscountCandidate, ProductDiscountCandidateFixedAmount,
    ProductDiscountCandidateTarget, ProductDiscountCandidateValue,
    ProductDiscountSelectionStrategy, ProductDiscountsAddOperation,
};
use loyalty_core::Money;
use loyalty_core::discount::{Applied, Cart, Class, Config, Offer, Outcome, Taken, Value, Verdict};

/// The product and order operations of an outcome.
pub fn cart_operations(
    config: &Config,
    outcome: &Outcome,
    cart: &Cart<'_>,
    id: impl Fn(usize) -> String,
) -> Vec<CartOperation> {
    let mut operations = Vec::new();
    let products: Vec<ProductDiscountCandidate> = applied(config, outcome, Class::Product)
        .map(|(offer, applied)| product_candidate(offer, applied, cart, &id))
        .collect();
    if !products.is_empty() {
        operations.push(CartOperation::ProductDiscountsAdd(
            ProductDiscountsAddOperation {
                // The core has given every line to one candidate, so all of them can apply.
                selection_strategy: ProductDiscountSelectionStrategy::All,
                candidates: products,
            },
        ));
    }
    let orders: Vec<OrderDiscountCandidate> = applied(config, outcome, Class::Order)
        .map(|(offer, applied)| order_candidate(offer, applied, cart, &id))
        .collect();
    if !orders.is_empty() {
        operations.push(CartOperation::OrderDiscountsAdd(
            OrderDiscountsAddOperation {
                selection_strategy: OrderDiscountSelectionStrategy::First,
                candidates: orders,
            },
        ));
    }
    operations
}

/// The shipping operations of an outcome, for all delivery groups.
pub fn delivery_operations(
    config: &Config,
    outcome: &Outcome,
    groups: &[String],
) -> Vec<DeliveryOperation> {
    let candidates: Vec<DeliveryDiscountCandidate> = applied(config, outcome, Class::Shipping)
        .map(|(offer, applied)| DeliveryDiscountCandidate {
            targets: groups
                .iter()
                .map(|id| {
                    DeliveryDiscountCandidateTarget::DeliveryGroup(DeliveryGroupTarget {
                        id: id.clone(),
                    })
                })
                .collect(),
            value: DeliveryDiscountCandidateValue::Percentage(everything()),
            message: offer.message.clone(),
            associated_discount_code: code_of(applied),
        })
        .collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    vec![DeliveryOperation::DeliveryDiscountsAdd(
        DeliveryDiscountsAddOperation {
            selection_strategy: DeliveryDiscountSelectionStrategy::All,
            candidates,
        },
    )]
}

fn applied<'o>(
    config: &'o Config,
    outcome: &'o Outcome,
    class: Class,
) -> impl Iterator<Item = (&'o Offer, &'o Applied)> {
    let verdicts = config.offers.iter().zip(&outcome.verdicts);
    verdicts.filter_map(move |(offer, verdict)| match verdict {
        Verdict::Applied(applied) if offer.class() == class => Some((offer, applied)),
        _ => None,
    })
}

fn product_candidate(
    offer: &Offer,
    applied: &Applied,
    cart: &Cart<'_>,
    id: impl Fn(usize) -> String,
) -> ProductDiscountCandidate {
    let target = |line, quantity| {
        ProductDiscountCandidateTarget::CartLine(CartLineTarget {
            id: id(line),
            quantity,
        })
    };
    let all_units = || {
        applied
            .lines
            .iter()
            .map(|line| target(*line, None))
            .collect()
    };
    let (targets, value) = match applied.taken() {
        Taken::Units(units) => (
            // A free product is at most 1,000 units, so the number fits.
            units
                .iter()
                .map(|(line, taken)| target(*line, i32::try_from(*taken).ok()))
                .collect(),
            ProductDiscountCandidateValue::Percentage(everything()),
        ),
        Taken::Percent => (
            all_units(),
            ProductDiscountCandidateValue::Percentage(percentage(offer)),
        ),
        Taken::Amount | Taken::Delivery => (
            all_units(),
            ProductDiscountCandidateValue::FixedAmount(ProductDiscountCandidateFixedAmount {
                amount: amount(applied, cart),
                applies_to_each_item: Some(false),
            }),
        ),
    };
    ProductDiscountCandidate {
        targets,
        prerequisites: None,
        value,
        message: offer.message.clone(),
        associated_discount_code: code_of(applied),
    }
}

fn order_candidate(
    offer: &Offer,
    applied: &Applied,
    cart: &Cart<'_>,
    id: impl Fn(usize) -> String,
) -> OrderDiscountCandidate {
    let gift_cards = cart
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.gift_card);
    let value = match applied.taken() {
        Taken::Percent => OrderDiscountCandidateValue::Percentage(percentage(offer)),
        _ => OrderDiscountCandidateValue::FixedAmount(FixedAmount {
            amount: amount(applied, cart),
        }),
    };
    OrderDiscountCandidate {
        targets: vec![OrderDiscountCandidateTarget::OrderSubtotal(
            OrderSubtotalTarget {
                excluded_cart_line_ids: gift_cards.map(|(index, _)| id(index)).collect(),
            },
        )],
        value,
        conditions: None,
        message: offer.message.clone(),
        associated_discount_code: code_of(applied),
    }
}

fn amount(applied: &Applied, cart: &Cart<'_>) -> String {
    Money::new(applied.amount_minor, cart.currency).to_string()
}

fn percentage(offer: &Offer) -> Percentage {
    match &offer.value {
        Value::Percentage { percent, .. } => Percentage {
            value: percent.clone(),
        },
        _ => everything(),
    }
}

fn everything() -> Percentage {
    Percentage {
        value: "100".to_owned(),
    }
}

fn code_of(applied: &Applied) -> Option<AssociatedDiscountCode> {
    applied
        .code
        .clone()
        .map(|code| AssociatedDiscountCode { code })
}
