// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {KeyHolder} from "./KeyHolder.sol";
import {IBatchExecutor} from "./interfaces/IBatchExecutor.sol";
import {IERC734} from "./interfaces/IERC734.sol";
import {Purposes} from "./libraries/Purposes.sol";

/// @title Calls made in the name of an identity (ERC-734 execute and approve)
/// @dev Only MANAGEMENT reaches the identity itself, so no other purpose can give itself rights by a self-call, whatever its selector.
abstract contract Executor is IBatchExecutor, KeyHolder, ReentrancyGuardTransient {
    enum Status {
        None, // ran at once, or never asked for
        Pending,
        Rejected,
        Run
    }

    struct Request {
        address to;
        Status status;
        uint256 value;
        bytes data;
    }

    mapping(uint256 id => Request) private _requests; // only those that had to wait
    uint256 private _nextId;

    /// @notice Ether may come in; MANAGEMENT and ACTION take it out by `execute`.
    receive() external payable {}

    /// @inheritdoc IERC734
    function execute(address _to, uint256 _value, bytes calldata _data)
        external
        payable
        nonReentrant
        returns (uint256 executionId)
    {
        bool mayRun = _mayRun(_to);
        if (!mayRun && !_senderHas(Purposes.ACTION) && !_senderHas(Purposes.CLAIM)) {
            revert SenderDoesNotHaveActionKey();
        }
        executionId = _nextId++;
        emit ExecutionRequested(executionId, _to, _value, _data);
        if (mayRun) {
            emit Approved(executionId, true);
            _run(executionId, _to, _value, _data);
        } else {
            if (msg.value != 0) revert PendingRequestWithValue();
            _requests[executionId] = Request({to: _to, status: Status.Pending, value: _value, data: _data});
        }
    }

    /// @inheritdoc IBatchExecutor
    function executeBatch(Call[] calldata calls) external payable nonReentrant returns (uint256[] memory executionIds) {
        executionIds = new uint256[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            Call calldata call = calls[i];
            if (!_mayRun(call.to)) revert SenderDoesNotHaveActionKey();
            executionIds[i] = _nextId++;
            emit ExecutionRequested(executionIds[i], call.to, call.value, call.data);
            emit Approved(executionIds[i], true);
            _run(executionIds[i], call.to, call.value, call.data);
        }
    }

    /// @inheritdoc IERC734
    function approve(uint256 _id, bool _approve) external nonReentrant returns (bool success) {
        if (_id >= _nextId) revert InvalidRequestId();
        Request storage request = _requests[_id];
        if (request.status != Status.Pending) revert RequestAlreadyExecuted();
        if (!_mayRun(request.to)) {
            if (_isGuarded(request.to)) revert SenderDoesNotHaveManagementKey();
            revert SenderDoesNotHaveActionKey();
        }
        request.status = _approve ? Status.Run : Status.Rejected; // before the call: one request, one run
        emit Approved(_id, _approve);
        return !_approve || _run(_id, request.to, request.value, request.data);
    }

    /// @dev Contracts that trust this identity as such: only MANAGEMENT may speak to them in its name.
    function _isGuarded(address target) internal view virtual returns (bool);

    function _mayRun(address to) private view returns (bool) {
        return _senderHas(_isGuarded(to) ? Purposes.MANAGEMENT : Purposes.ACTION);
    }

    function _run(uint256 id, address to, uint256 value, bytes memory data) private returns (bool success) {
        assembly ("memory-safe") {
            success := call(gas(), to, value, add(data, 0x20), mload(data), 0, 0) // what comes back is not copied
        }
        if (success) emit Executed(id, to, value, data);
        else emit ExecutionFailed(id, to, value, data);
    }
}
