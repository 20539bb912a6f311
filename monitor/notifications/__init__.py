"""Who is told of which incidents, when, and why.

transitions | Notifications.observe; tick | Notifications.due -> notifications | proposals.propose -> claims
"""

from monitor.notifications.book import Notifications
from monitor.notifications.records import Held, Notification, SendReason

__all__ = ["Held", "Notification", "Notifications", "SendReason"]
