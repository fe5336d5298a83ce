"""Named features, each computed once. Import a family's file to register its features; `graph` resolves them."""
