"""What both APIs share: the queue before an API, and what its limits allow."""
