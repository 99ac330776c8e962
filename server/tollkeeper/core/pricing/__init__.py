"""What a request costs: paths as routers read them, price lists, and which list an account is on."""
