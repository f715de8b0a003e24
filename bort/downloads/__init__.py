"""Downloads: HTTPS, archives, model hubs."""
