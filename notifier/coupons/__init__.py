"""One folder a coupon shop."""
