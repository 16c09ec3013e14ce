// The documents of this extension. tests/functions/test_checkout_points.py checks each of them against LoyalNest's schema.

export const STANDING = /* GraphQL */ `
  query Standing($first: Int!) {
    customer { pointsBalance }
    rewards(first: $first) { nodes { kind points amount currency availability { obstacles } } }
  }
`;

export const RESERVE = /* GraphQL */ `
  mutation Reserve($points: Points!, $key: String!) {
    pointsReserve(points: $points, idempotencyKey: $key) {
      reservation { id points attributeKey attributeValue }
      userErrors { code }
    }
  }
`;

export const RESERVATION = /* GraphQL */ `
  query Reservation($id: ID!) {
    node(id: $id) { ... on PointsReservation { id points status isAtCheckout attributeKey attributeValue } }
  }
`;

export const RELEASE = /* GraphQL */ `
  mutation Release($id: ID!) {
    reservationRelease(id: $id) { reservation { id } userErrors { code } }
  }
`;
