// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ConsentHolder} from "./ConsentHolder.sol";
import {IdentityBase} from "./IdentityBase.sol";
import {IConsent} from "./interfaces/IConsent.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {CloneArguments} from "./libraries/CloneArguments.sol";

/// @title A holder's identity: a clone whose code ends with its first manager and its adder
/// @dev Nobody can upgrade it. The implementation itself has no manager and, having not the size of a clone, no adder, and so can do nothing.
contract Identity is ConsentHolder {
    address private immutable IMPLEMENTATION = address(this);
    address private immutable FACTORY = msg.sender;
    uint256 private immutable CODE_THRESHOLD;

    /// @param codeThreshold how many bytes of a claim stand in words before code is the better place: about 96 at today's prices
    constructor(uint256 codeThreshold) {
        CODE_THRESHOLD = codeThreshold;
    }

    /// @inheritdoc IIdentity
    function adder() public view override returns (address) {
        return CloneArguments.ownAdder();
    }

    /// @inheritdoc IdentityBase
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC1271).interfaceId || interfaceId == type(IConsent).interfaceId
            || super.supportsInterface(interfaceId);
    }

    function _firstManager() internal view override returns (address) {
        return address(this) == IMPLEMENTATION ? address(0) : CloneArguments.ownFirstManager();
    }

    function _codeThreshold() internal view override returns (uint256) {
        return CODE_THRESHOLD;
    }

    function _isGuarded(address target) internal view override returns (bool) {
        return target == address(this) || target == FACTORY || target == adder();
    }
}
