"""NeXus, of neutron and X-ray facilities."""

from sciml.io.readers.nexus.events import NexusEvents
from sciml.io.readers.nexus.reader import Nexus

__all__ = ["Nexus", "NexusEvents"]
