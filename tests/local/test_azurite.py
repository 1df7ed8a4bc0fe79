"""Azurite as the stack starts it: three services, accounts apart from each other."""

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient


def test_the_three_services_answer_the_real_clients(storage):
    """One connection string reaches blobs, queues and tables."""
    with (
        BlobServiceClient.from_connection_string(storage) as blobs,
        QueueServiceClient.from_connection_string(storage) as queues,
        TableServiceClient.from_connection_string(storage) as tables,
    ):
        blobs.create_container("papers")
        queues.create_queue("errands")
        tables.create_table("Facts")

        assert [item.name for item in blobs.list_containers()] == ["papers"]
        assert [item.name for item in queues.list_queues()] == ["errands"]
        assert [item.name for item in tables.list_tables()] == ["Facts"]


def test_every_test_begins_with_an_empty_account(storage):
    """The data of another test is not visible, in any order of the tests."""
    with QueueServiceClient.from_connection_string(storage) as queues:
        queues.create_queue("errands")

        assert [item.name for item in queues.list_queues()] == ["errands"]


def test_the_published_account_is_shared(azurite):
    """The session's account answers under the name that everybody knows."""
    with QueueServiceClient.from_connection_string(azurite) as queues:
        assert queues.account_name == "devstoreaccount1"
        assert list(queues.list_queues(name_starts_with="nobody-made-this")) == []
