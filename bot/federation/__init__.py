"""The federation of Matrix servers, as far as a policy server takes part in it: events, requests, keys, names, joins.

A library: it keeps no state of the product. `Pdu` (pdu.py) is an event as servers exchange it, `RequestAuthorization`
(x_matrix.py) proves who sent a request, `ServerKeys` (server_keys.py) has the keys of others. Decision 0051 describes
the design and its reasons.
"""
