"""The names under which the audit trail keeps what is done to customers, conversations and what routes them."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    # Customers and links
    CUSTOMER_CREATE = "customer.create"
    CUSTOMER_CHANGE = "customer.change"
    CUSTOMER_MERGE = "customer.merge"
    CUSTOMER_MERGE_UNDO = "customer.merge_undo"
    CUSTOMER_MERGE_DISMISS = "customer.merge_dismiss"
    CUSTOMER_EXPORT = "customer.export"
    CUSTOMER_ERASE = "customer.erase"
    LINK_CREATE = "link.create"
    LINK_REVOKE = "link.revoke"
    # Intents
    INTENT_CREATE = "intent.create"
    INTENT_CHANGE = "intent.change"
    INTENT_DELETE = "intent.delete"
    UTTERANCES_CHANGE = "utterances.change"
    UTTERANCES_IMPORT = "utterances.import"
    MODEL_TRAIN = "intent_model.train"
    MODEL_CANCEL = "intent_model.cancel"
    MODEL_ACTIVATE = "intent_model.activate"
    # FAQ
    FAQ_CREATE = "faq.create"
    FAQ_CHANGE = "faq.change"
    FAQ_SUBMIT = "faq.submit"
    FAQ_RETURN = "faq.return"
    FAQ_PUBLISH = "faq.publish"
    FAQ_ARCHIVE = "faq.archive"
    FAQ_RESTORE = "faq.restore"
    FAQ_DELETE = "faq.delete"
    FAQ_IMPORT = "faq.import"
    # Entrances and conversations
    ENTRANCE_CREATE = "entrance.create"
    ENTRANCE_CHANGE = "entrance.change"
    ENTRANCE_DELETE = "entrance.delete"
    CONTACT_WAY_CREATE = "contact_way.create"
    CONTACT_WAY_CHANGE = "contact_way.change"
    CONTACT_WAY_DELETE = "contact_way.delete"
    CONVERSATION_REPLY = "conversation.reply"
    CONVERSATION_RESOLVE = "conversation.resolve"
    CONVERSATION_CORRECT = "conversation.correct_intent"
    CONVERSATION_HAND_OVER = "conversation.hand_over"
    ARRIVAL_RETRY = "arrival.retry"
    # Assignment
    GROUP_CREATE = "skill_group.create"
    GROUP_CHANGE = "skill_group.change"
    GROUP_DELETE = "skill_group.delete"
    AGENT_CREATE = "agent.create"
    AGENT_CHANGE = "agent.change"
    AGENT_DELETE = "agent.delete"
    AGENT_PRESENCE = "agent.presence"
    CONVERSATION_CLAIM = "conversation.claim"
    CONVERSATION_TRANSFER = "conversation.transfer"
    CONVERSATION_RELEASE = "conversation.release"
    # Tests of entrances
    ENTRANCE_TEST = "entrance.test"
