"""One module per API family: parse the request, call a service, render the answer."""
