"""Agents meet environments: the agent protocol, the engine, trajectories.

`rollout` is the way in from Python, `codeenv rollout` from the command line. The only package that knows about concurrency.
May import `codeenv.episode`, `codeenv.batch` and everything below.
"""

from codeenv.rollout.agent import Agent, AgentError, Response, load_agent
from codeenv.rollout.conversation import Conversation, Message, conversation_of
from codeenv.rollout.engine import RolloutConfig, RolloutResult
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.run import env_problems, rollout
from codeenv.rollout.trajectory import RunError, read_episodes, read_problems, read_run

__all__ = [
    "Agent",
    "AgentError",
    "Conversation",
    "Message",
    "Response",
    "RolloutConfig",
    "RolloutResult",
    "RunError",
    "RunFolder",
    "conversation_of",
    "env_problems",
    "load_agent",
    "read_episodes",
    "read_problems",
    "read_run",
    "rollout",
]
