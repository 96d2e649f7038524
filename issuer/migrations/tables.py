"""Every table of the house, so that `metadata` is whole wherever it is read."""

import issuer.access.tables
import issuer.audit.tables
import issuer.cases.challenges
import issuer.cases.tables
import issuer.chain.tables
import issuer.claims.tables
import issuer.history
import issuer.inbox.tables
import issuer.queue.tables
import issuer.reconcile.tables
import issuer.reviews.tables
import issuer.stops.tables  # noqa: F401 - imported so that their tables are known
from issuer.db import Base

metadata = Base.metadata
