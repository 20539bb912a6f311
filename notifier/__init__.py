"""An action in, a message or a coupon out, effectively once. Imports no other package of ours."""
