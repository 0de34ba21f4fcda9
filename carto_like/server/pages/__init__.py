"""The pages of an account: what people look at with a browser, beside the APIs that programs use."""
