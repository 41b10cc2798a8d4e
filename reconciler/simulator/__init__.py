"""An OMS to try things on: the API v2 actions used here, with the behaviour the vendor's pages describe.

It is written from those pages alone and shares nothing with the client, so that the two cannot agree on a mistake.
Where the pages are silent, a switch (`settings.Switches`) selects the reading. Start with `simulator.Simulator` and
`server.serve`; this package itself imports nothing.
"""
